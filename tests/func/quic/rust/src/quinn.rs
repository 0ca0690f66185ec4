// SPDX-License-Identifier: BSD-3-Clause

//! A QUIC client made of quinn for the relay tests; ../../README.md says what every peer here does
//! and prints.

mod line;

use line::{done, failed, fatal, hex, payload, say, unsupported, Options, Tally, Words};
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, RecvStream, TokioRuntime,
    TransportConfig, VarInt,
};
use quinn_proto::transport_parameters::TransportParameters;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::json;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::Instant;

/// Takes any certificate; remembers how the server signed.
#[derive(Debug)]
struct Anyone {
    schemes: Vec<SignatureScheme>,
    signed: Mutex<Option<SignatureScheme>>,
}

impl Anyone {
    fn new(only: Option<&str>) -> Self {
        let schemes = match only {
            Some("ed25519") => vec![SignatureScheme::ED25519],
            Some("p256") => vec![SignatureScheme::ECDSA_NISTP256_SHA256],
            Some(other) => fatal(format!("unknown signature {other}")),
            None => vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519],
        };
        Anyone { schemes, signed: Mutex::new(None) }
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        *self.signed.lock().unwrap() = Some(signature.scheme);
        let known = &rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// Offers any version, with the keys of version 1: the server shall only tell what it speaks.
struct AnyVersion(Arc<QuicClientConfig>);

impl quinn::crypto::ClientConfig for AnyVersion {
    fn start_session(
        self: Arc<Self>,
        _: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn quinn::crypto::Session>, quinn::ConnectError> {
        self.0.clone().start_session(1, server_name, params)
    }
}

struct Peer {
    endpoint: Endpoint,
    options: Options,
    tally: Tally,
    sent: Mutex<u64>,
    flooded: Mutex<u64>,
    closing: Mutex<Option<(u64, String)>>,
}

fn socket(options: &Options) -> std::io::Result<UdpSocket> {
    UdpSocket::bind(SocketAddr::new(options.local, 0))
}

/// Why a connection ended.
fn closed(error: ConnectionError) {
    let (code, reason, by, application) = match &error {
        ConnectionError::ApplicationClosed(c) => {
            (c.error_code.into_inner(), String::from_utf8_lossy(&c.reason).into(), "peer", true)
        }
        ConnectionError::ConnectionClosed(c) => {
            let reason = String::from_utf8_lossy(&c.reason).into();
            (u64::from(c.error_code), reason, "peer", false)
        }
        ConnectionError::TransportError(e) => (u64::from(e.code), e.reason.clone(), "local", false),
        ConnectionError::LocallyClosed => (0, error.to_string(), "local", true),
        ConnectionError::TimedOut => (0, error.to_string(), "timeout", false),
        ConnectionError::Reset => (0, error.to_string(), "reset", false),
        _ => (0, error.to_string(), "local", false),
    };
    say(json!({"event": "closed", "code": code, "reason": reason, "by": by,
        "application": application}));
}

async fn read_stream(id: u64, mut stream: RecvStream) {
    loop {
        let (text, fin) = match stream.read_chunk(4096, true).await {
            Ok(Some(chunk)) => (hex(&chunk.bytes), false),
            Ok(None) => (String::new(), true),
            Err(_) => return,
        };
        say(json!({"event": "stream", "id": id, "hex": text, "fin": fin}));
        if fin {
            return;
        }
    }
}

impl Peer {
    async fn connect(&self, crypto: &rustls::ClientConfig) -> Result<Connection, ConnectionError> {
        let crypto = QuicClientConfig::try_from(crypto.clone()).unwrap_or_else(|e| fatal(e));
        let mut config = ClientConfig::new(Arc::new(AnyVersion(Arc::new(crypto))));
        let mut transport = TransportConfig::default();
        // As WZP's own clients have them.
        transport
            .keep_alive_interval(Some(Duration::from_secs(5)))
            .stream_receive_window(VarInt::from_u32(65_536))
            .receive_window(VarInt::from_u32(262_144))
            .send_window(131_072);
        config.transport_config(Arc::new(transport));
        let mut versions = vec![1];
        versions.extend(self.options.version);
        for version in versions.into_iter().rev() {
            config.version(version);
            let connecting = self
                .endpoint
                .connect_with(config.clone(), self.options.connect, &self.options.name)
                .unwrap_or_else(|e| fatal(e));
            match connecting.await {
                // quinn leaves it to us to try another version.
                Err(ConnectionError::VersionMismatch) if version != 1 => {
                    say(json!({"event": "refused", "version": format!("{version:#x}")}));
                }
                other => return other,
            }
        }
        unreachable!()
    }

    async fn obey(self: &Arc<Self>, conn: &Connection, line: &str) -> Option<()> {
        let mut words = Words(line.split_whitespace());
        let command = words.0.next()?;
        match command {
            "send" => match conn.send_datagram(words.bytes()?.into()) {
                Ok(()) => *self.sent.lock().unwrap() += 1,
                Err(e) => return Some(failed(command, e)),
            },
            "flood" => {
                let (nb, size, pps) = (words.number()?, words.number()?, words.number()?);
                let begun = Instant::now();
                let first = *self.flooded.lock().unwrap();
                for n in 0..nb {
                    let datagram = payload(self.options.sender, first + n, size as usize);
                    if let Err(e) = conn.send_datagram(datagram.into()) {
                        return Some(failed(command, e));
                    }
                    *self.sent.lock().unwrap() += 1;
                    let due = Duration::from_secs_f64((n + 1) as f64 / pps as f64);
                    tokio::time::sleep_until(begun + due).await;
                }
                *self.flooded.lock().unwrap() += nb;
            }
            // quinn takes another connection id with its new socket.
            "migrate" => {
                if let Err(e) = socket(&self.options).and_then(|s| self.endpoint.rebind(s)) {
                    return Some(failed(command, e));
                }
            }
            "keyupdate" => conn.force_key_update(),
            "stream" => {
                let (mut to, from) = match conn.open_bi().await {
                    Ok(both) => both,
                    Err(e) => return Some(failed(command, e)),
                };
                let id = VarInt::from(to.id()).into_inner();
                if self.options.streams.is_none() {
                    tokio::spawn(read_stream(id, from)); // else it is stopped
                }
                if let Err(e) = to.write_all(&words.bytes()?).await {
                    return Some(failed(command, e));
                }
                let _ = to.finish();
            }
            "stats" => {
                let (received, sha256) = self.tally.sum();
                say(json!({"event": "stats", "sent": *self.sent.lock().unwrap(),
                    "received": received, "sha256": sha256, "key_updates": null,
                    "max_datagram": conn.max_datagram_size(),
                    "rtt_us": conn.rtt().as_micros() as u64}));
            }
            "close" => {
                let (code, reason) = (words.number()?, words.rest());
                *self.closing.lock().unwrap() = Some((code, reason.clone()));
                conn.close(VarInt::from_u64(code).ok()?, reason.as_bytes());
            }
            _ => return Some(unsupported(command)),
        }
        Some(done(command))
    }
}

async fn stay(options: Options) {
    let anyone = Arc::new(Anyone::new(options.signature.as_deref()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut crypto = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap_or_else(|e| fatal(e))
        .dangerous()
        .with_custom_certificate_verifier(anyone.clone())
        .with_no_client_auth();
    crypto.alpn_protocols = options.alpns().into_iter().map(String::into_bytes).collect();

    let mut config = EndpointConfig::default();
    if let Some(version) = options.version {
        config.supported_versions(vec![1, version]);
    }
    let runtime = Arc::new(TokioRuntime);
    let endpoint = socket(&options)
        .and_then(|s| Endpoint::new(config, None, s, runtime))
        .unwrap_or_else(|e| fatal(e));
    let peer = Arc::new(Peer {
        endpoint,
        options,
        tally: Tally::default(),
        sent: Mutex::new(0),
        flooded: Mutex::new(0),
        closing: Mutex::default(),
    });
    let conn = match peer.connect(&crypto).await {
        Ok(conn) => conn,
        Err(error) => return closed(error),
    };
    let data = conn.handshake_data().and_then(|d| d.downcast::<HandshakeData>().ok());
    let alpn = data.and_then(|d| d.protocol).unwrap_or_default();
    let signed = anyone.signed.lock().unwrap().map(|s| format!("{s:?}"));
    // quinn does not tell which cipher and version it speaks.
    say(json!({"event": "connected", "alpn": String::from_utf8_lossy(&alpn), "cipher": null,
        "max_datagram": conn.max_datagram_size(), "signature": signed, "version": "0x1"}));

    let (receiver, from) = (peer.clone(), conn.clone());
    tokio::spawn(async move {
        while let Ok(datagram) = from.read_datagram().await {
            receiver.tally.take(&datagram, receiver.options.count);
        }
    });
    let from = conn.clone();
    tokio::spawn(async move {
        while let Ok(stream) = from.accept_uni().await {
            tokio::spawn(read_stream(VarInt::from(stream.id()).into_inner(), stream));
        }
    });
    let (from, most) = (conn.clone(), peer.options.streams.unwrap_or(u64::MAX));
    tokio::spawn(async move {
        for _ in 0..most {
            let Ok((to, stream)) = from.accept_bi().await else { return };
            tokio::spawn(read_stream(VarInt::from(to.id()).into_inner(), stream));
        }
    });
    let (obedient, to) = (peer.clone(), conn.clone());
    let obeying = tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if obedient.obey(&to, &line).await.is_none() {
                failed(&line, "not understood");
            }
        }
        to.close(0u32.into(), b"");
    });
    let error = conn.closed().await;
    match (&error, peer.closing.lock().unwrap().take()) {
        (ConnectionError::LocallyClosed, Some((code, reason))) => {
            say(json!({"event": "closed", "code": code, "reason": reason, "by": "local",
                "application": true}));
        }
        _ => closed(error),
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), peer.endpoint.wait_idle()).await;
    obeying.abort();
    std::process::exit(0); // standard input is still read
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    stay(Options::read()).await;
}
