// SPDX-License-Identifier: BSD-3-Clause

//! What the Rust peers share: options, output, and what they count. ../../README.md says what every
//! peer does and prints.

#![allow(dead_code)] // neither peer needs everything

use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;

#[derive(Clone)]
pub struct Options {
    pub connect: SocketAddr,
    pub name: String,
    pub alpn: String,
    pub local: IpAddr,
    pub sender: u32,
    pub version: Option<u32>,
    pub signature: Option<String>,
    pub big_hello: bool,
    pub count: bool,
    pub streams: Option<u64>,
}

pub fn fatal(what: impl std::fmt::Display) -> ! {
    say(json!({"event": "error", "what": what.to_string()}));
    std::process::exit(2)
}

impl Options {
    pub fn read() -> Self {
        let mut found = std::collections::HashMap::new();
        let (mut big_hello, mut count) = (false, false);
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--count" => count = true,
                "--big-hello" => big_hello = true,
                "--connect" | "--name" | "--alpn" | "--local" | "--sender" | "--version"
                | "--signature" | "--streams" => {
                    let value = words.next().unwrap_or_else(|| fatal(format!("{word} of what?")));
                    found.insert(word, value);
                }
                _ => fatal(format!("unknown option {word}")),
            }
        }
        let mut take = |name: &str| found.remove(name);
        let connect: SocketAddr = take("--connect")
            .and_then(|at| at.parse().ok())
            .unwrap_or_else(|| fatal("--connect ADDR:PORT or [ADDR]:PORT"));
        let any = match connect {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Options {
            connect,
            name: take("--name").unwrap_or_else(|| fatal("--name is missing")),
            alpn: take("--alpn").unwrap_or("wzp".into()),
            local: take("--local").map_or(any, |a| a.parse().unwrap_or_else(|e| fatal(e))),
            sender: take("--sender").map_or(0, |n| n.parse().unwrap_or_else(|e| fatal(e))),
            version: take("--version").map(|v| {
                u32::from_str_radix(v.trim_start_matches("0x"), 16).unwrap_or_else(|e| fatal(e))
            }),
            signature: take("--signature"),
            big_hello,
            count,
            streams: take("--streams").map(|n| n.parse().unwrap_or_else(|e| fatal(e))),
        }
    }

    /// What to offer: for a hello of two packets, names that nobody has behind the real one.
    pub fn alpns(&self) -> Vec<String> {
        let filler = if self.big_hello { 6 } else { 0 };
        let names = (0..filler).map(|i| format!("{i:-<200}"));
        std::iter::once(self.alpn.clone()).chain(names).collect()
    }
}

pub fn say(event: Value) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{event}");
    let _ = out.flush();
}

pub fn done(command: &str) {
    say(json!({"event": "done", "command": command}));
}

pub fn failed(command: &str, what: impl std::fmt::Display) {
    say(json!({"event": "error", "command": command, "what": what.to_string()}));
}

pub fn unsupported(command: &str) {
    say(json!({"event": "unsupported", "command": command}));
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

/// Datagram `n` of a sender; every byte follows from both.
pub fn payload(sender: u32, n: u64, size: usize) -> Vec<u8> {
    let mut p = [n.to_be_bytes().as_slice(), &sender.to_be_bytes()].concat();
    p.extend((p.len()..size).map(|i| (n + u64::from(sender) + i as u64) as u8));
    p
}

/// The words behind a command.
pub struct Words<'a>(pub std::str::SplitWhitespace<'a>);

impl Words<'_> {
    pub fn number(&mut self) -> Option<u64> {
        self.0.next()?.parse().ok()
    }

    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        unhex(self.0.next()?)
    }

    pub fn rest(&mut self) -> String {
        self.0.by_ref().collect::<Vec<_>>().join(" ")
    }
}

/// What came in.
#[derive(Default)]
pub struct Tally(Mutex<Vec<Vec<u8>>>);

impl Tally {
    pub fn take(&self, datagram: &[u8], count: bool) {
        self.0.lock().unwrap().push(datagram.to_vec());
        if !count {
            say(json!({"event": "datagram", "hex": hex(datagram)}));
        }
    }

    /// How many, and the hash over all of them, sorted.
    pub fn sum(&self) -> (usize, String) {
        let mut all = self.0.lock().unwrap().clone();
        all.sort();
        let mut sum = Sha256::new();
        for datagram in &all {
            sum.update(datagram);
        }
        (all.len(), hex(&sum.finalize()))
    }
}
