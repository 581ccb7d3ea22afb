//! Syslog over TCP and TLS with octet counting (RFC 6587 section 3.4.1, RFC 5425 section 4.3), and
//! over UDP (RFC 5426).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::{Sink, SinkError, broken};
use crate::error::Failure;

/// All messages on one connection; then this side ends it, and waits for the collector to end its
/// own, which it does once it has read everything.
pub(super) async fn stream(sink: &Sink, messages: &[String]) -> Result<(), SinkError> {
    let mut stream = sink.connect().await?;
    let mut frames = Vec::with_capacity(messages.iter().map(|message| message.len() + 8).sum());
    for message in messages {
        frames.extend_from_slice(format!("{} {message}", message.len()).as_bytes());
    }
    stream.write_all(&frames).await.map_err(|error| broken(&error))?;
    stream.shutdown().await.map_err(|error| broken(&error))?;
    let mut ignored = [0; 256];
    loop {
        match stream.read(&mut ignored).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Many collectors end TCP without TLS's own goodbye.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(broken(&error)),
        }
    }
}

/// One datagram a message. What is lost on the way nobody learns.
pub(super) async fn datagrams(sink: &Sink, messages: &[String]) -> Result<(), SinkError> {
    let address = sink.addresses().await?.into_iter().next();
    let address = address.ok_or(SinkError::Failed(Failure::Name))?;
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.map_err(|error| broken(&error))?;
    socket.connect(address).await.map_err(|error| broken(&error))?;
    for message in messages {
        socket.send(message.as_bytes()).await.map_err(|error| broken(&error))?;
    }
    Ok(())
}
