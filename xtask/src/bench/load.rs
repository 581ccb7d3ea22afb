//! The load: so many connections, each sending its next request when the last is answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::http::{Connection, Url, request};

/// Where the load goes, and what must come back.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) body: String,
    pub(super) expected: Value,
}

/// What one run of load showed. Every answer was the right one, or there is no sample.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) connections: usize,
    pub(super) requests: usize,
    pub(super) took: Duration,
    /// Half of the answers were there after this time.
    pub(super) p50: Duration,
    /// All but one in a hundred.
    pub(super) p99: Duration,
}

impl Sample {
    /// Answers per second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }
}

/// Sends load until the time is up or `most` answers are there.
///
/// # Errors
/// When any answer is not 200 with the expected JSON.
pub(super) fn run(
    target: &Target,
    connections: usize,
    time: Duration,
    most: usize,
) -> Result<Sample> {
    let bytes = request("POST", &target.url, None, &target.body);
    let right = right_answer(target, &bytes)?;
    let sent = AtomicUsize::new(0);
    let start = Instant::now();
    let one = || -> Result<Vec<Duration>> {
        let mut connection = Connection::open(&target.url)?;
        let mut times = Vec::new();
        while start.elapsed() < time && sent.fetch_add(1, Ordering::Relaxed) < most {
            let asked = Instant::now();
            let response = connection.exchange(&bytes)?;
            times.push(asked.elapsed());
            ensure!(response.status == 200, "an answer had status {}", response.status);
            ensure!(response.body == right, "an answer differed from the first");
        }
        Ok(times)
    };
    let mut times = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().ok().context("a connection's thread panicked")??);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    let took = start.elapsed();
    times.sort_unstable();
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    Ok(Sample { connections, requests: times.len(), took, p50, p99 })
}

/// The bytes of an answer that is known to be right: all others are only compared.
fn right_answer(target: &Target, bytes: &[u8]) -> Result<Vec<u8>> {
    let response = Connection::open(&target.url)?.exchange(bytes)?;
    let shown = String::from_utf8_lossy(&response.body);
    ensure!(response.status == 200, "status {}: {shown}", response.status);
    let value: Value = serde_json::from_slice(&response.body).context("the answer is no JSON")?;
    ensure!(value == target.expected, "{shown} came instead of {}", target.expected);
    Ok(response.body)
}

/// Of sorted times, the one that `percent` of them do not exceed; zero where there are none.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyward_testkit::echo::{Echo, Reply};
    use serde_json::json;

    use super::{Target, percentile, run};
    use crate::bench::http::Url;

    fn target(echo: &Echo) -> Target {
        let url = Url::parse(&echo.url("/hook")).expect("a URL");
        Target { url, body: "{}".to_owned(), expected: json!({"ok": true}) }
    }

    #[test]
    fn right_answers_are_counted_and_timed() {
        let echo = Echo::start();
        echo.route("/hook", Reply::json(&json!({"ok": true})).after(Duration::from_millis(5)));
        let sample = run(&target(&echo), 4, Duration::from_secs(30), 40).expect("a sample");
        assert_eq!((sample.requests, echo.received().len()), (40, 41));
        assert!(sample.p50 >= Duration::from_millis(5) && sample.p50 <= sample.p99);
        assert!(sample.rate() > 1.0 && sample.rate() < 800.0, "{}", sample.rate());
    }

    #[test]
    fn a_wrong_answer_spoils_the_sample() {
        let echo = Echo::start();
        let wrong = [Reply::json(&json!({"ok": false})), Reply::status(500)];
        for reply in wrong {
            echo.queue(reply.clone());
            assert!(run(&target(&echo), 1, Duration::from_secs(1), 5).is_err());
            echo.queue(Reply::json(&json!({"ok": true}))).queue(reply);
            assert!(run(&target(&echo), 1, Duration::from_secs(1), 5).is_err());
        }
    }

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let shown = [50, 99, 100].map(|percent| percentile(&times, percent).as_millis());
        assert_eq!(shown, [100, 198, 200]);
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
