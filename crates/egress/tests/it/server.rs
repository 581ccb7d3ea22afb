//! Small servers on loopback, and a client that may reach them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keyward_egress::{Allow, Client, Draft, EgressError, Options, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a server got, in its HTTP/1 form.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) version: http::Version,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(header, _)| header == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(crate) type Answer = http::Response<Full<Bytes>>;

pub(crate) fn ok(body: impl Into<Bytes>) -> Answer {
    http::Response::new(Full::new(body.into()))
}

/// An http server with keep-alive.
pub(crate) async fn http(answer: fn(&Seen) -> Answer) -> Server {
    serve(None, answer).await
}

/// An https server that offers HTTP/2 where `config` does.
pub(crate) async fn https(config: rustls::ServerConfig, answer: fn(&Seen) -> Answer) -> Server {
    serve(Some(TlsAcceptor::from(Arc::new(config))), answer).await
}

async fn serve(tls: Option<TlsAcceptor>, answer: fn(&Seen) -> Answer) -> Server {
    let (server, listener) = bind().await;
    let connections = Arc::clone(&server.connections);
    let seen = Arc::clone(&server.seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let (seen, tls) = (Arc::clone(&seen), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => talk(stream, false, seen, answer).await,
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { return };
                        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        talk(stream, h2, seen, answer).await;
                    }
                }
            });
        }
    });
    server
}

async fn talk<S>(stream: S, h2: bool, seen: Arc<Mutex<Vec<Seen>>>, answer: fn(&Seen) -> Answer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let text =
                |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let got = Seen {
                version: parts.version,
                method: parts.method.to_string(),
                target: parts.uri.to_string(),
                headers: parts.headers.iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
                body: body.collect().await?.to_bytes().to_vec(),
            };
            seen.lock().unwrap().push(got.clone());
            Ok::<_, hyper::Error>(answer(&got))
        }
    });
    let io = TokioIo::new(stream);
    let _ = if h2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(io, service).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
    };
}

/// Writes these bytes after a request's headers; then closes, or holds the connection open.
pub(crate) async fn raw(answer: impl Into<Vec<u8>>, hold: bool) -> Server {
    let (server, listener) = bind().await;
    let connections = Arc::clone(&server.connections);
    let answer: Arc<[u8]> = answer.into().into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read_buf(&mut request).await {
                        Ok(1..) => (),
                        _ => return,
                    }
                }
                let _ = stream.write_all(&answer).await;
                if hold {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                }
            });
        }
    });
    server
}

async fn bind() -> (Server, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connections, seen) = (Arc::default(), Arc::default());
    (Server { address, connections, seen }, listener)
}

/// Options with which loopback may be reached.
pub(crate) fn loopback() -> Options {
    Options { allow: Allow::parse("127.0.0.1, localhost").unwrap(), ..Options::default() }
}

pub(crate) fn client() -> Client {
    Client::new(loopback()).unwrap()
}

pub(crate) fn draft(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Draft {
    let headers = headers.iter().map(|(name, value)| (name, value));
    Draft::parse(method, url, headers, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

pub(crate) async fn get(client: &Client, url: &str) -> Result<Response, EgressError> {
    client.send("ws", draft("GET", url, &[], "").plain(), Duration::from_secs(5)).await
}

pub(crate) fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a [u8]> {
    let named = answer.headers.iter().find(|(header, _)| header == name);
    named.map(|(_, value)| value.as_slice())
}
