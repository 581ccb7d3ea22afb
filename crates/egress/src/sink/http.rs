//! JSON lines by POST; any 2xx means that they were taken. Redirects are not followed.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use url::Host;

use super::{Sink, SinkError};
use crate::error::Failure;

pub(super) async fn post(sink: &Sink, messages: &[String]) -> Result<(), SinkError> {
    let mut body = messages.join("\n");
    body.push('\n');
    let stream = sink.connect().await?;
    let failed = |_| SinkError::Failed(Failure::NotHttp);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let request = request(sink, body).map_err(|_| SinkError::Failed(Failure::NotHttp))?;
    let answer = sender.send_request(request).await;
    connection.abort();
    let status = answer.map_err(|_| SinkError::Failed(Failure::Incomplete))?.status();
    if status.is_success() { Ok(()) } else { Err(SinkError::Status(status.as_u16())) }
}

fn request(sink: &Sink, body: String) -> http::Result<Request<Full<Bytes>>> {
    let host = match &sink.host {
        Host::Ipv6(v6) => format!("[{v6}]:{}", sink.port),
        host => format!("{host}:{}", sink.port),
    };
    let mut request = Request::post(&sink.target)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_TYPE, "application/x-ndjson");
    if let Some(token) = &sink.token {
        request = request.header(header::AUTHORIZATION, token);
    }
    request.body(Full::from(body))
}
