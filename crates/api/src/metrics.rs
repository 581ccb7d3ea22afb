//! `GET /metrics`: Prometheus text (exposition format 0.0.4). Counts and names of walls alone.

use crate::router::Api;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use keyward_model::clock::Timestamp;
use keyward_vault::SinkState;
use std::fmt::Write as _;

/// A router that serves the metrics alone, for an address of their own.
pub fn metrics_router(api: Api) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(api)
}

pub(crate) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text(&api))
}

fn text(api: &Api) -> String {
    let engine = api.engine();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
        // Writing into a String does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let ended = engine.counters().ended();
    let ended = ended.map(|(status, count)| (format!("{{status=\"{}\"}}", status.as_str()), count));
    family("keyward_runs_ended_total", "counter", "Runs that ended on this node.", &ended);
    let under_way = u64::try_from(engine.live().count()).unwrap_or(u64::MAX);
    let under_way = [(String::new(), under_way)];
    family("keyward_runs_under_way", "gauge", "Runs that this node drives now.", &under_way);
    let wall = |(name, stands)| (format!("{{wall=\"{name}\"}}"), u64::from(stands));
    let walls: Vec<_> = engine.walls().into_iter().map(wall).collect();
    family("keyward_sandbox_wall", "gauge", "1 where the sandbox's wall stands.", &walls);
    let sinks = api.vault().audit_gate().sinks();
    let now = api.vault().now();
    let of = |value: fn(&SinkState, Timestamp) -> u64| -> Vec<(String, u64)> {
        let labels =
            |sink: &SinkState| format!("{{sink=\"{}\",kind=\"{}\"}}", sink.place, sink.kind);
        sinks.iter().map(|sink| (labels(sink), value(sink, now))).collect()
    };
    let waiting = of(|sink, _| sink.waiting);
    family(
        "keyward_audit_sink_waiting",
        "gauge",
        "Records that the sink has yet to take.",
        &waiting,
    );
    let lag = of(|sink, now| {
        let millis = sink.oldest.map_or(0, |oldest| now.millis() - oldest.millis());
        u64::try_from(millis / 1000).unwrap_or(0)
    });
    family("keyward_audit_sink_lag_seconds", "gauge", "Age of the oldest of them.", &lag);
    let sent = of(|sink, _| sink.sent);
    family("keyward_audit_sink_sent_total", "counter", "Records this node brought it.", &sent);
    let failures = of(|sink, _| sink.failures);
    let help = "Attempts of this node that it did not take.";
    family("keyward_audit_sink_failures_total", "counter", help, &failures);
    let blocks = of(|sink, _| u64::from(sink.blocks));
    let help = "1 while the sink keeps values from being released.";
    family("keyward_audit_sink_blocks", "gauge", help, &blocks);
    text
}
