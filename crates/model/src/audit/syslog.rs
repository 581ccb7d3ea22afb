//! Records as syslog messages (RFC 5424): facility 13 (log audit), the action as message id, and the
//! record as one line of ASCII JSON.

use super::{Outcome, Record, write_line};

/// Log audit (RFC 5424 section 6.2.1).
const FACILITY: u8 = 13;
/// Severities of what took place and of what was refused.
const INFORMATIONAL: u8 = 6;
const WARNING: u8 = 4;

/// Which machine and process messages come from.
#[derive(Debug, Clone)]
pub struct SyslogHost {
    host: String,
    process: String,
}

impl SyslogHost {
    /// Names as syslog takes them: printable ASCII without spaces; what is left of them at most.
    pub fn new(host: &str, process: u32) -> Self {
        let plain: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
        let host = if plain.is_empty() { "-".to_owned() } else { plain };
        Self { host, process: process.to_string() }
    }
}

/// One record as a message, without the framing of a transport.
///
/// # Errors
/// What writing the JSON gave.
pub fn syslog_message(record: &Record, from: &SyslogHost) -> serde_json::Result<String> {
    let event = &record.event;
    let severity = match event.outcome {
        Outcome::Allowed => INFORMATIONAL,
        Outcome::Refused => WARNING,
    };
    let priority = FACILITY * 8 + severity;
    let (at, action) = (event.at, event.action.as_str());
    let SyslogHost { host, process } = from;
    let line = write_line(record)?;
    Ok(format!("<{priority}>1 {at} {host} keyward {process} {action} - {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Action;

    #[test]
    fn hosts_and_message_ids_keep_to_the_format() {
        assert_eq!(SyslogHost::new("a b\n\u{1b}c", 7).host, "abc");
        assert_eq!(SyslogHost::new("", 7).host, "-");
        // MSGID is 1 to 32 printable characters.
        for action in Action::ALL {
            let text = action.as_str();
            assert!(text.len() <= 32 && text.chars().all(|c| c.is_ascii_graphic()), "{text}");
        }
    }
}
