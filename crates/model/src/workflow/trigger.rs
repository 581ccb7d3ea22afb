//! What starts a workflow.

use super::available::Feature;
use super::http::Method;
use super::node::Node;

/// What starts a workflow; any can be started by hand as well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trigger {
    /// A request to the workflow's own URL.
    Http {
        /// The only method that is taken; `None` for any.
        method: Option<Method>,
        /// What the request is answered.
        respond: Respond,
    },
    /// The clock.
    Schedule {
        /// Five fields: minute, hour, day of the month, month, day of the week.
        cron: String,
        /// An IANA time zone; UTC where none is given.
        timezone: Option<String>,
    },
    /// A person or a token.
    #[default]
    Manual,
}

/// What an HTTP trigger answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Respond {
    /// 202 with the run's id, at once.
    #[default]
    Accepted,
    /// The last step's output, when the run has ended.
    Result,
}

#[derive(Clone, Copy)]
enum Kind {
    Http,
    Schedule,
    Manual,
}

const KINDS: &[(&str, Kind)] =
    &[("http", Kind::Http), ("schedule", Kind::Schedule), ("manual", Kind::Manual)];

impl Trigger {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let at = node.open_object()?.required("kind")?;
        match at.word(KINDS)? {
            Kind::Http => Self::read_http(node),
            Kind::Schedule => {
                at.require(Feature::Schedule);
                Self::read_schedule(node)
            }
            Kind::Manual => node.object(&["kind"]).map(|_| Self::Manual),
        }
    }

    fn read_http(node: &Node<'_>) -> Option<Self> {
        let object = node.object(&["kind", "method", "respond"])?;
        let method = object.optional("method", |method| method.word(Method::WORDS));
        let respond = object.or_default("respond", |word| {
            word.word(&[("accepted", Respond::Accepted), ("result", Respond::Result)])
        });
        Some(Self::Http { method: method?, respond: respond? })
    }

    fn read_schedule(node: &Node<'_>) -> Option<Self> {
        let object = node.object(&["kind", "cron", "timezone"])?;
        let cron = object.required("cron").and_then(|cron| read_cron(&cron));
        let timezone = object.optional("timezone", |zone| {
            let text = zone.text()?;
            let fits = |c: char| c.is_ascii_alphanumeric() || "_+-/".contains(c);
            if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
                return zone.fault("invalid_value", "must be a time zone such as Europe/Vienna");
            }
            Some(text.to_owned())
        });
        Some(Self::Schedule { cron: cron?, timezone: timezone? })
    }
}

/// Five fields of the characters that cron knows; their meaning is the scheduler's to check.
fn read_cron(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || " */,-#".contains(c);
    if text.split_ascii_whitespace().count() != 5 || !text.chars().all(fits) {
        return node
            .fault("invalid_value", "must have the five fields of cron, such as `0 9 * * 1-5`");
    }
    Some(text.to_owned())
}
