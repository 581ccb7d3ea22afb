//! One running step, seen from the server: its frames checked, its bounds kept.

use crate::descriptors;
use crate::pool::Child;
use crate::step::{
    Answer, Ask, Derivation, Event, Failure, FetchRequest, FetchResponse, Limits, Outcome,
    known_code,
};
use crate::wire::{
    self, AskHeader, AskKind, Decoder, FetchedHeader, FromStep, STEP_HEADER, ToStep, WireError,
};
use bytes::{Buf, Bytes};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::time::Instant;

/// Bytes read from a step at a time.
const READ_BYTES: usize = 64 << 10;
/// What the log may hold above its limit: the last line that says it was cut.
const LOG_SLACK: usize = 1 << 10;
/// Bytes counted for each log line beside its text.
pub(crate) const LOG_LINE: usize = 8;

/// Pauses before it is settled that a step ended by itself.
const LOSS_PAUSES: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(15),
    Duration::from_millis(60),
];
/// Deepest nesting of an output: less than where JSON parsers commonly stop.
const MAX_DEPTH: usize = 100;

/// A running step. Dropping it kills its process.
pub struct Session {
    child: Child,
    decoder: Decoder<FromStep>,
    outgoing: VecDeque<Bytes>,
    deadline: Instant,
    wall_time: Duration,
    caps: Caps,
    keys: BTreeSet<String>,
    fetches: BTreeSet<u32>,
    asking: Option<u32>,
    log_left: usize,
    outcome: Option<Outcome>,
}

/// Longest bodies, by what a frame is.
struct Caps {
    output: usize,
    request: usize,
    log: usize,
    fetches: usize,
}

/// Why the stream of frames ended early.
enum Broken {
    Closed,
    Wire(WireError),
    Rule(&'static str),
    Deadline,
}

impl Session {
    pub(crate) fn new(child: Child, rest: Bytes, limits: &Limits, keys: Vec<String>) -> Self {
        Self {
            child,
            decoder: Decoder::new(STEP_HEADER),
            outgoing: if rest.is_empty() { VecDeque::new() } else { VecDeque::from([rest]) },
            deadline: Instant::now() + limits.wall_time,
            wall_time: limits.wall_time,
            caps: Caps {
                output: limits.output_bytes,
                request: limits.request_bytes,
                log: limits.log_bytes + LOG_SLACK,
                fetches: limits.fetches_at_once as usize,
            },
            keys: keys.into_iter().collect(),
            fetches: BTreeSet::new(),
            asking: None,
            log_left: limits.log_bytes + LOG_SLACK,
            outcome: None,
        }
    }

    /// What the step says next. May be dropped and called again (it loses nothing), and must be
    /// polled for the deadline to be kept. After `Finished` it gives the same again.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(outcome) = &self.outcome {
                return Event::Finished(outcome.clone());
            }
            match self.next_frame().await.and_then(|(header, body)| self.event(header, body)) {
                Ok(Event::Finished(outcome)) => self.finish(outcome),
                Ok(event) => return event,
                Err(broken) => {
                    let lost = matches!(broken, Broken::Closed) && self.is_lost().await;
                    let outcome = self.broken(&broken, lost);
                    self.finish(outcome);
                }
            }
        }
    }

    /// Answers a fetch. Ids that are not open (aborted, or answered before) are ignored.
    pub fn answer_fetch(&mut self, id: u32, answer: Answer<FetchResponse>) {
        if !self.fetches.remove(&id) || self.outcome.is_some() {
            return;
        }
        let (answer, body) = match answer {
            Ok(response) => {
                let header = FetchedHeader {
                    status: response.status,
                    status_text: response.status_text,
                    url: response.url,
                    headers: response.headers,
                    redirected: response.redirected,
                };
                (Ok(header), response.body)
            }
            Err(error) => (Err(error), Bytes::new()),
        };
        self.send(&ToStep::Fetched { id, answer }, body);
    }

    /// Answers the open question: a string, `true` or `false` for [`Ask::VerifyHmac`].
    pub fn answer_ask(&mut self, id: u32, answer: Answer<String>) {
        if self.asking != Some(id) || self.outcome.is_some() {
            return;
        }
        self.asking = None;
        match answer {
            Ok(text) => self.send(&ToStep::Answered { id, error: None }, text.into()),
            Err(error) => self.send(&ToStep::Answered { id, error: Some(error) }, Bytes::new()),
        }
    }

    /// Process id of the step as this process sees it, while it lives.
    pub fn process_id(&self) -> Option<u32> {
        self.child.process_id()
    }

    /// When the step is killed if it has not ended.
    pub fn deadline(&self) -> std::time::Instant {
        self.deadline.into_std()
    }

    /// The frame that ends a compilation; none where the process did not send one.
    pub(crate) async fn next_compiled(&mut self) -> Option<(FromStep, Bytes)> {
        let frame = self.next_frame().await.ok();
        descriptors::kill(self.child.process.as_fd());
        frame
    }

    fn send(&mut self, header: &ToStep, body: Bytes) {
        let mut frame = Vec::new();
        // A body of 4 GiB cannot be told to the step; it then waits for its deadline.
        let Ok(body_len) = u32::try_from(body.len()) else { return };
        if wire::encode_head(&mut frame, header, body_len).is_err() {
            return;
        }
        if body.len() < READ_BYTES {
            frame.extend_from_slice(&body);
            self.outgoing.push_back(frame.into());
        } else {
            self.outgoing.push_back(frame.into());
            self.outgoing.push_back(body);
        }
        // What does not fit now goes out in `next`; a broken socket is noticed there too.
        let _ = self.flush();
    }

    /// Writes what the socket takes now.
    fn flush(&mut self) -> Result<(), Broken> {
        while let Some(front) = self.outgoing.front_mut() {
            match self.child.stream.try_write(front) {
                Ok(written) => {
                    front.advance(written);
                    if front.is_empty() {
                        self.outgoing.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // What the step said before it went is still to be read.
                Err(_) => self.outgoing.clear(),
            }
        }
        Ok(())
    }

    async fn next_frame(&mut self) -> Result<(FromStep, Bytes), Broken> {
        // A flood of frames must neither outlive the deadline nor starve other tasks.
        tokio::task::consume_budget().await;
        loop {
            let caps = &self.caps;
            if Instant::now() >= self.deadline {
                return Err(Broken::Deadline);
            }
            if let Some(frame) =
                self.decoder.next(|header| caps.of(header)).map_err(Broken::Wire)?
            {
                return Ok(frame);
            }
            if self.read()? {
                continue;
            }
            let interest = if self.outgoing.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let ready = tokio::time::timeout_at(self.deadline, self.child.stream.ready(interest));
            let ready = ready.await.map_err(|_| Broken::Deadline)?;
            if ready.map_err(|_| Broken::Closed)?.is_writable() {
                self.flush()?;
            }
        }
    }

    /// Reads once; false where nothing is there.
    fn read(&mut self) -> Result<bool, Broken> {
        self.decoder.buffer.reserve(READ_BYTES);
        match self.child.stream.try_read_buf(&mut self.decoder.buffer) {
            Ok(0) => Err(Broken::Closed),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(_) => Err(Broken::Closed),
        }
    }

    /// Turns a frame into an event, or finds that the step broke a rule only hostile code breaks.
    fn event(&mut self, header: FromStep, body: Bytes) -> Result<Event, Broken> {
        match header {
            FromStep::Log { level } => {
                let size = body.len() + LOG_LINE;
                self.log_left =
                    self.log_left.checked_sub(size).ok_or(Broken::Rule("logged too much"))?;
                Ok(Event::Log { level, text: String::from_utf8_lossy(&body).into_owned() })
            }
            FromStep::Fetch(fetch) => {
                self.check_key(fetch.credential.as_deref())?;
                if self.fetches.len() >= self.caps.fetches || !self.fetches.insert(fetch.id) {
                    return Err(Broken::Rule("fetched too much at once"));
                }
                let request = FetchRequest {
                    url: fetch.url,
                    method: fetch.method,
                    headers: fetch.headers,
                    body,
                    credential: fetch.credential,
                    redirect: fetch.redirect,
                };
                Ok(Event::Fetch { id: fetch.id, request })
            }
            FromStep::Abort { id } => {
                self.fetches.remove(&id);
                Ok(Event::Abort { id })
            }
            FromStep::Ask { id, ask } => {
                self.check_key(Some(&ask.key))?;
                if self.asking.replace(id).is_some() {
                    return Err(Broken::Rule("asked twice at once"));
                }
                Ok(Event::Ask { id, ask: question(ask, body) })
            }
            FromStep::Output {} => {
                let text = String::from_utf8(body.into())
                    .map_err(|_| Broken::Rule("sent an output that is not text"))?;
                serde_json::from_str::<serde::de::IgnoredAny>(&text)
                    .map_err(|_| Broken::Rule("sent an output that is not JSON"))?;
                if depth(&text) > MAX_DEPTH {
                    let message = format!("the output is nested more than {MAX_DEPTH} levels deep");
                    let failure = Failure::new("script_error", message);
                    return Ok(Event::Finished(Outcome::Failed(failure)));
                }
                Ok(Event::Finished(Outcome::Output(text.into())))
            }
            FromStep::Failed { code, message, key, line } => {
                Ok(Event::Finished(Outcome::Failed(Failure {
                    code: known_code(&code),
                    message,
                    key,
                    line,
                })))
            }
            FromStep::Compiled { .. } | FromStep::Refused { .. } => {
                Err(Broken::Rule("answered what nobody asked"))
            }
        }
    }

    fn check_key(&self, key: Option<&str>) -> Result<(), Broken> {
        match key {
            Some(key) if !self.keys.contains(key) => {
                Err(Broken::Rule("named a credential that it was not given"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the step ended because its zygote did. Its own end may be noticed a little earlier.
    pub(crate) async fn is_lost(&self) -> bool {
        for pause in LOSS_PAUSES {
            if self.child.zygote_is_gone() {
                return true;
            }
            tokio::time::sleep(pause).await;
        }
        self.child.zygote_is_gone()
    }

    fn broken(&self, broken: &Broken, lost: bool) -> Outcome {
        Outcome::Failed(match broken {
            Broken::Deadline => Failure::new(
                "timeout",
                format!("the code ran longer than {} s", self.wall_time.as_secs_f64()),
            ),
            Broken::Closed if lost => {
                Failure::new("interrupted", "the sandbox was lost while the code ran")
            }
            // The process ends by itself only where memory or stack is exhausted, or where a
            // forbidden system call was tried.
            Broken::Closed => Failure::new(
                "memory_limit",
                "the process of the code ended early, most likely for want of memory",
            ),
            Broken::Wire(error) => {
                Failure::new("script_error", format!("the code broke the sandbox's rules: {error}"))
            }
            Broken::Rule(rule) => {
                Failure::new("script_error", format!("the code broke the sandbox's rules: {rule}"))
            }
        })
    }

    fn finish(&mut self, outcome: Outcome) {
        descriptors::kill(self.child.process.as_fd());
        self.outgoing.clear();
        self.outcome = Some(outcome);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            descriptors::kill(self.child.process.as_fd());
        }
    }
}

impl Caps {
    fn of(&self, header: &FromStep) -> usize {
        match header {
            FromStep::Log { .. } => self.log,
            FromStep::Fetch(_) | FromStep::Ask { .. } => self.request,
            FromStep::Output {} | FromStep::Compiled { .. } => self.output,
            FromStep::Abort { .. } | FromStep::Failed { .. } | FromStep::Refused { .. } => 0,
        }
    }
}

/// How deep this JSON is nested, found without recursion.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn question(ask: AskHeader, message: Bytes) -> Ask {
    let AskHeader { kind, key, field, .. } = ask;
    let algorithm = |default: &str| ask.algorithm.unwrap_or_else(|| default.to_owned());
    let encoding = ask.encoding.unwrap_or_else(|| "hex".to_owned());
    let derive = |key, derivation| Ask::Derive { key, derivation };
    match kind {
        AskKind::Expose => Ask::Expose { key, field },
        AskKind::Basic => derive(key, Derivation::Basic),
        AskKind::Base64 => derive(key, Derivation::Base64 { field }),
        AskKind::Hmac => {
            let algorithm = algorithm("sha256");
            derive(key, Derivation::Hmac { field, message, algorithm, encoding })
        }
        AskKind::Jwt => {
            let algorithm = algorithm("RS256");
            let claims = ask.claims.unwrap_or_else(|| "{}".to_owned());
            let expires_in = ask.expires_in.unwrap_or(300);
            derive(
                key,
                Derivation::Jwt { field, claims, header: ask.header, algorithm, expires_in },
            )
        }
        AskKind::VerifyHmac => Ask::VerifyHmac {
            key,
            field,
            message,
            signature: ask.signature.unwrap_or_default(),
            algorithm: algorithm("sha256"),
            encoding,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::test_child;
    use std::io::Write;

    /// Plays a step that sends these bytes and then closes; gives how the session ends, after
    /// how many other events, and checks that the process is killed.
    async fn end_of(bytes: &[u8], keep_open: bool) -> (Failure, usize) {
        let (mut step, child) = test_child();
        let limits = Limits {
            wall_time: Duration::from_millis(if keep_open { 300 } else { 20_000 }),
            log_bytes: 1_000,
            output_bytes: 1_000,
            request_bytes: 1_000,
            fetches_at_once: 2,
            ..Limits::default()
        };
        let bytes = bytes.to_vec();
        let writer = std::thread::spawn(move || {
            // The session may hang up long before all is written.
            let _ = step.write_all(&bytes);
            keep_open.then_some(step)
        });
        let mut session = Session::new(child, Bytes::new(), &limits, vec!["K".to_owned()]);
        let mut others = 0;
        let failure = loop {
            match session.next().await {
                Event::Finished(Outcome::Failed(failure)) => break failure,
                Event::Finished(outcome) => panic!("{outcome:?}"),
                _ => others += 1,
            }
            assert!(session.decoder.buffer.len() <= STEP_HEADER + 2 * READ_BYTES);
        };
        assert!(session.child.was_killed().await, "{failure:?}");
        drop(session);
        drop(writer.join());
        (failure, others)
    }

    fn frame(header: &str, body: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u32::try_from(bytes).expect("short").to_le_bytes();
        let lengths = [length(header.len()), length(body.len())].concat();
        [&lengths, header.as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn survives_whatever_a_step_sends() {
        let log = frame(r#"{"log":{"level":"info"}}"#, &[b'x'; 500]);
        let fetch = |id: u32, extra: &str| {
            let header = format!(
                r#"{{"fetch":{{"id":{id},"url":"u","method":"GET","headers":[],"credential":null,"redirect":"follow"{extra}}}}}"#
            );
            frame(&header, b"")
        };
        let ask = |id: u32, key: &str| {
            frame(
                &format!(r#"{{"ask":{{"id":{id},"ask":{{"kind":"basic","key":"{key}"}}}}}}"#),
                b"",
            )
        };
        let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
        let rules = "script_error";
        let cases: Vec<(Vec<u8>, &str, usize)> = vec![
            (b"".to_vec(), "memory_limit", 0),
            (b"\x01\x02".to_vec(), "memory_limit", 0),
            (vec![0; 8], rules, 0),
            (vec![0xff; 64], rules, 0),
            (vec![0x20; 100_000], rules, 0),
            (frame("{}", b""), rules, 0),
            (frame("nonsense", b""), rules, 0),
            (frame(r#"{"abort":{"id":-1}}"#, b""), rules, 0),
            (frame(r#"{"abort":{"id":1,"more":2}}"#, b""), rules, 0),
            (frame(r#"{"abort":{"id":1,"id":1}}"#, b""), rules, 0),
            (frame(r#"{"exec":{"id":1}}"#, b""), rules, 0),
            (frame(r#"{"run":{}}"#, b""), rules, 0),
            (frame(&"[".repeat(200_000), b""), rules, 0),
            (frame(&r#"{"log":"#.repeat(30_000), b""), rules, 0),
            (frame(r#"{"abort":{"id":1}}"#, b"body"), rules, 0),
            (frame(r#"{"output":{}}"#, &[b'1'; 1_001]), rules, 0),
            (frame(r#"{"output":{}}"#, b"nope"), rules, 0),
            (frame(r#"{"output":{}}"#, b"1 2"), rules, 0),
            (frame(r#"{"output":{}}"#, &[0x22, 0xff, 0x22]), rules, 0),
            (frame(r#"{"output":{}}"#, deep.as_bytes()), rules, 0),
            (frame(r#"{"output":{}}"#, b"")[..12].to_vec(), "memory_limit", 0),
            (frame(r#"{"compiled":{"keys":[],"literals":[],"returns":"unknown"}}"#, b""), rules, 0),
            (frame(r#"{"refused":{"line":1,"column":1,"message":""}}"#, b""), rules, 0),
            (log.repeat(10), rules, 3),
            (frame(r#"{"log":{"level":"loud"}}"#, b""), rules, 0),
            (fetch(1, r#","extra":1"#), rules, 0),
            ([fetch(1, ""), fetch(1, "")].concat(), rules, 1),
            ([fetch(1, ""), fetch(2, ""), fetch(3, "")].concat(), rules, 2),
            (
                String::from_utf8(fetch(1, "")).expect("text").replace("null", "\"X\" ").into(),
                rules,
                0,
            ),
            (ask(1, "OTHER"), rules, 0),
            ([ask(1, "K"), ask(2, "K")].concat(), rules, 1),
            ([ask(1, "K"), frame("{}", b"")].concat(), rules, 1),
        ];
        for (bytes, code, others) in cases {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
            let (failure, seen) = end_of(&bytes, false).await;
            assert_eq!((failure.code, seen), (code, others), "{shown}: {failure:?}");
        }
    }

    #[tokio::test]
    async fn ends_floods_and_silence_at_the_deadline() {
        let abort = frame(r#"{"abort":{"id":7}}"#, b"").repeat(3_000_000);
        for bytes in
            [abort, frame(r#"{"log":{"level":"info"}}"#, b"begun")[..20].to_vec(), Vec::new()]
        {
            let (failure, _) = end_of(&bytes, true).await;
            assert_eq!(failure.code, "timeout", "{} bytes", bytes.len());
        }
    }

    #[test]
    fn measures_depth() {
        for (json, expected) in
            [("1", 0), ("[]", 1), (r#"{"a":[{}],"b":[]}"#, 3), (r#""[[\"[""#, 0)]
        {
            assert_eq!(depth(json), expected, "{json}");
        }
    }
}
