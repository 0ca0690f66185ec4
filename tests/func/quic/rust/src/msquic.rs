// SPDX-License-Identifier: BSD-3-Clause

//! A QUIC client made of msquic, whose own connection ids are empty, for the relay tests;
//! ../../README.md says what every peer here does and prints.

mod line;

use line::{done, failed, fatal, hex, payload, say, unsupported, Options, Tally, Words};
use msquic::{
    ffi, Addr, Api, BufferRef, Configuration, Connection, ConnectionEvent, ConnectionRef,
    ConnectionShutdownFlags, CredentialConfig, CredentialFlags, DatagramSendState, HandshakeInfo,
    Registration, RegistrationConfig, SendFlags, Settings, Status, StatusCode, Stream, StreamEvent,
    StreamOpenFlags, StreamRef, StreamStartFlags,
};
use serde_json::json;
use std::ffi::{c_void, CStr};
use std::net::SocketAddr;
use std::sync::{mpsc, Arc, Mutex};
use std::time::{Duration, Instant};

// From msquicp.h, for which the crate has no bindings.
const FORCE_KEY_UPDATE: u32 = 0x8500_0000;
const FORCE_CID_UPDATE: u32 = 0x8500_0001;
const REASON_SIZE: usize = 512;

extern "C" {
    fn _exit(status: i32) -> !;
}

/// Bytes that msquic reads until it gives them back.
struct Loan {
    _bytes: Vec<u8>,
    refs: [BufferRef; 1],
}

impl Loan {
    fn give(
        bytes: Vec<u8>,
        to: impl FnOnce(&[BufferRef], *const c_void) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let refs = [BufferRef::from(bytes.as_slice())];
        let loan = Box::into_raw(Box::new(Loan { _bytes: bytes, refs }));
        let result = to(unsafe { &(*loan).refs }, loan.cast());
        if result.is_err() {
            unsafe { Self::take_back(loan.cast()) };
        }
        result
    }

    /// # Safety
    /// Once for each loan that was given.
    unsafe fn take_back(context: *const c_void) {
        drop(Box::from_raw(context as *mut Loan));
    }
}

#[derive(Default)]
struct State {
    alpn: Option<String>,
    connected: bool,
    max_datagram: u16,
    closed: Option<serde_json::Value>,
}

struct Peer {
    options: Options,
    tally: Tally,
    state: Mutex<State>,
}

fn set<T>(conn: &Connection, param: u32, value: &T) -> Result<(), Status> {
    let size = std::mem::size_of::<T>() as u32;
    unsafe { Api::set_param(conn.as_raw(), param, size, std::ptr::from_ref(value).cast()) }
}

fn cipher(conn: &Connection) -> Option<&'static str> {
    let info: HandshakeInfo =
        unsafe { Api::get_param_auto(conn.as_raw(), ffi::QUIC_PARAM_TLS_HANDSHAKE_INFO) }.ok()?;
    match info.cipher_suite {
        msquic::CIPHER_SUITE_TLS_AES_128_GCM_SHA256 => Some("TLS_AES_128_GCM_SHA256"),
        msquic::CIPHER_SUITE_TLS_AES_256_GCM_SHA384 => Some("TLS_AES_256_GCM_SHA384"),
        msquic::CIPHER_SUITE_TLS_CHACHA20_POLY1305_SHA256 => Some("TLS_CHACHA20_POLY1305_SHA256"),
        _ => None,
    }
}

fn reason(conn: &Connection) -> String {
    let (mut text, size) = ([0u8; REASON_SIZE], REASON_SIZE as u32);
    let (param, to) = (ffi::QUIC_PARAM_CONN_CLOSE_REASON_PHRASE, text.as_mut_ptr().cast());
    match unsafe { Api::get_param(conn.as_raw(), param, &size, to) } {
        Ok(()) => CStr::from_bytes_until_nul(&text)
            .map_or(String::new(), |t| t.to_string_lossy().into_owned()),
        Err(_) => String::new(),
    }
}

fn on_stream(stream: StreamRef, event: StreamEvent) -> Result<(), Status> {
    let id = stream.get_stream_id().unwrap_or(u64::MAX);
    match event {
        StreamEvent::Receive { buffers, .. } => {
            let all: Vec<u8> = buffers.iter().flat_map(|b| b.as_bytes().to_vec()).collect();
            say(json!({"event": "stream", "id": id, "hex": hex(&all), "fin": false}));
        }
        StreamEvent::PeerSendShutdown => {
            say(json!({"event": "stream", "id": id, "hex": "", "fin": true}));
        }
        StreamEvent::SendComplete { client_context, .. } => unsafe {
            Loan::take_back(client_context);
        },
        StreamEvent::ShutdownComplete { .. } => unsafe {
            drop(Stream::from_raw(stream.as_raw()));
        },
        _ => {}
    }
    Ok(())
}

impl Peer {
    fn on_connection(&self, conn: &ConnectionRef, event: ConnectionEvent, end: &mpsc::Sender<()>) {
        let mut state = self.state.lock().unwrap();
        match event {
            ConnectionEvent::Connected { negotiated_alpn, .. } => {
                state.alpn = Some(String::from_utf8_lossy(negotiated_alpn).into());
            }
            ConnectionEvent::DatagramStateChanged { max_send_length, .. } => {
                state.max_datagram = max_send_length;
            }
            ConnectionEvent::DatagramReceived { buffer, .. } => {
                self.tally.take(buffer.as_bytes(), self.options.count);
            }
            ConnectionEvent::DatagramSendStateChanged { client_context, state } => match state {
                DatagramSendState::LostDiscarded
                | DatagramSendState::Acknowledged
                | DatagramSendState::AcknowledgedSpurious
                | DatagramSendState::Canceled => unsafe { Loan::take_back(client_context) },
                _ => {}
            },
            ConnectionEvent::PeerStreamStarted { stream, .. } => {
                stream.set_callback_handler(on_stream);
            }
            ConnectionEvent::ShutdownInitiatedByPeer { error_code } => {
                state.closed = Some(json!({"event": "closed", "code": error_code,
                    "reason": "", "by": "peer", "application": true}));
            }
            ConnectionEvent::ShutdownInitiatedByTransport { status, error_code } => {
                // msquic does not tell which end it was.
                let idle =
                    status.try_as_status_code() == Ok(StatusCode::QUIC_STATUS_CONNECTION_IDLE);
                state.closed = Some(json!({"event": "closed", "code": error_code,
                    "reason": status.to_string(), "by": if idle { "timeout" } else { "transport" },
                    "application": false}));
            }
            ConnectionEvent::ShutdownComplete { .. } => {
                if let Some(closed) = state.closed.as_mut().filter(|c| c["by"] == "peer") {
                    closed["reason"] = reason(conn).into(); // not there any earlier
                }
                let _ = end.send(());
            }
            _ => {}
        }
        // Both are needed, and they come in any order.
        if !state.connected && state.max_datagram != 0 {
            if let Some(alpn) = &state.alpn {
                let stats = conn.get_stats_v2().map(|s| s.HandshakeClientFlight1Bytes);
                say(json!({"event": "connected", "alpn": alpn, "cipher": cipher(conn),
                    "max_datagram": state.max_datagram, "version": "0x1",
                    "hello_bytes": stats.ok()}));
                state.connected = true;
            }
        }
    }

    fn send(&self, conn: &Connection, data: Vec<u8>) -> Result<(), Status> {
        Loan::give(data, |refs, context| unsafe {
            conn.datagram_send(refs, SendFlags::NONE, context)
        })
    }

    fn stream(&self, conn: &Connection, data: Vec<u8>) -> Result<(), Status> {
        let stream = Stream::open(conn, StreamOpenFlags::NONE, on_stream)?;
        stream.start(StreamStartFlags::NONE)?;
        Loan::give(data, |refs, context| unsafe { stream.send(refs, SendFlags::FIN, context) })?;
        unsafe { stream.into_raw() }; // its last event closes it
        Ok(())
    }

    /// A new port under the same connection id of the server.
    fn rebind(&self, conn: &Connection) -> Result<(), Status> {
        let mut local = conn.get_local_addr()?.as_socket().unwrap_or_else(|| fatal("no address"));
        local.set_port(0);
        set(conn, ffi::QUIC_PARAM_CONN_LOCAL_ADDRESS, &Addr::from(local))
    }

    fn obey(
        &self,
        conn: &Connection,
        line: &str,
        sent: &mut u64,
        flooded: &mut u64,
    ) -> Option<Result<(), Status>> {
        let mut words = Words(line.split_whitespace());
        Some(match words.0.next()? {
            "send" => {
                *sent += 1;
                self.send(conn, words.bytes()?)
            }
            "flood" => {
                let (nb, size, pps) = (words.number()?, words.number()?, words.number()?);
                let begun = Instant::now();
                for n in 0..nb {
                    let datagram = payload(self.options.sender, *flooded, size as usize);
                    if let Err(e) = self.send(conn, datagram) {
                        return Some(Err(e));
                    }
                    *sent += 1;
                    *flooded += 1;
                    let due = begun + Duration::from_secs_f64((n + 1) as f64 / pps as f64);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                Ok(())
            }
            "rebind" => self.rebind(conn),
            "migrate" => {
                unsafe { Api::set_param(conn.as_raw(), FORCE_CID_UPDATE, 0, std::ptr::null()) }
                    .and_then(|()| self.rebind(conn))
            }
            "keyupdate" => unsafe {
                Api::set_param(conn.as_raw(), FORCE_KEY_UPDATE, 0, std::ptr::null())
            },
            "stream" => self.stream(conn, words.bytes()?),
            "stats" => {
                let (received, sha256) = self.tally.sum();
                conn.get_stats_v2().map(|stats| {
                    say(json!({"event": "stats", "sent": *sent, "received": received,
                        "sha256": sha256, "key_updates": stats.KeyUpdateCount,
                        "max_datagram": self.state.lock().unwrap().max_datagram,
                        "rtt_us": stats.Rtt}));
                })
            }
            "close" => {
                let code = words.number()?;
                self.state.lock().unwrap().closed = Some(json!({"event": "closed", "code": code,
                    "reason": "", "by": "local", "application": true}));
                // msquic forgets a reason as it closes: it sends none.
                conn.shutdown(ConnectionShutdownFlags::NONE, code);
                Ok(())
            }
            _ => return None,
        })
    }
}

/// What msquic offers first; it takes versions that are reserved for this (RFC 9000 §15).
fn offer(config: &Configuration, version: u32) -> Result<(), Status> {
    let versions = [version, 1];
    let nb = versions.len() as u32;
    let settings = ffi::QUIC_VERSION_SETTINGS {
        AcceptableVersions: versions.as_ptr(),
        OfferedVersions: versions.as_ptr(),
        FullyDeployedVersions: versions.as_ptr(),
        AcceptableVersionsLength: nb,
        OfferedVersionsLength: nb,
        FullyDeployedVersionsLength: nb,
    };
    let size = std::mem::size_of_val(&settings) as u32;
    let at = std::ptr::from_ref(&settings).cast();
    let param = ffi::QUIC_PARAM_CONFIGURATION_VERSION_SETTINGS;
    unsafe { Api::set_param(config.as_raw(), param, size, at) }
}

fn stay(options: Options) -> Result<(), Status> {
    let registration = Registration::new(&RegistrationConfig::default())?;
    let settings = Settings::new()
        .set_IdleTimeoutMs(30_000)
        .set_KeepAliveIntervalMs(10_000)
        .set_PeerBidiStreamCount(16)
        .set_DatagramReceiveEnabled();
    let names = options.alpns();
    let alpn: Vec<_> = names.iter().map(|n| BufferRef::from(n.as_str())).collect();
    let config = Configuration::open(&registration, &alpn, Some(&settings))?;
    config.load_credential(
        &CredentialConfig::new_client()
            .set_credential_flags(CredentialFlags::NO_CERTIFICATE_VALIDATION),
    )?;
    if let Some(version) = options.version {
        offer(&config, version)?;
    }
    let peer = Arc::new(Peer {
        options: options.clone(),
        tally: Tally::default(),
        state: Mutex::default(),
    });
    let (end, ended) = mpsc::channel();
    let listener = peer.clone();
    let conn = Connection::open(&registration, move |conn, event| {
        listener.on_connection(&conn, event, &end);
        Ok(())
    })?;
    set(&conn, ffi::QUIC_PARAM_CONN_REMOTE_ADDRESS, &Addr::from(options.connect))?;
    set(&conn, ffi::QUIC_PARAM_CONN_LOCAL_ADDRESS, &Addr::from(SocketAddr::new(options.local, 0)))?;
    conn.start(&config, &options.name, options.connect.port())?;

    let conn = Arc::new(conn);
    let (obedient, to) = (peer.clone(), conn.clone());
    std::thread::spawn(move || {
        let (mut sent, mut flooded) = (0, 0);
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let command = line.split_whitespace().next().unwrap_or_default();
            match obedient.obey(&to, &line, &mut sent, &mut flooded) {
                Some(Ok(())) => done(command),
                Some(Err(e)) => failed(command, e),
                None => unsupported(command),
            }
        }
        to.shutdown(ConnectionShutdownFlags::NONE, 0);
    });
    let _ = ended.recv();
    let closed = peer.state.lock().unwrap().closed.take();
    say(closed.unwrap_or(json!({"event": "closed", "code": 0, "reason": "", "by": "local",
        "application": true})));
    unsafe { _exit(0) } // standard input is still read, and msquic's own end asserts
}

fn main() {
    let options = Options::read();
    if options.signature.is_some() {
        unsupported("--signature");
    } else if let Err(e) = stay(options) {
        fatal(e);
    }
}
