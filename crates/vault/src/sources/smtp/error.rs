//! Why a mail was not sent, in fixed words: of what a server says only its status codes are told.

use std::fmt;

use keyward_egress::{EgressError, Failure};
use keyward_model::error::StepErrorCode;

use super::reply::ReplyCode;

/// Where a dialogue was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Connect,
    Greeting,
    Hello,
    StartTls,
    SignIn,
    Sender,
    Recipients,
    Data,
    /// The message was handed over.
    Message,
    Idle,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Greeting => "the connection",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::SignIn => "the sign-in",
            Self::Sender => "the sender's address",
            Self::Recipients => "a recipient",
            Self::Data => "DATA",
            Self::Message => "the message",
            Self::Idle => "NOOP",
        })
    }
}

/// Why a mail was not sent. The text holds no value and nothing of the server's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MailError {
    /// An input or a field of the credential breaks a rule.
    #[error("\"{field}\" {what}")]
    Input {
        /// Its name, with the position in a list: `to[1]`.
        field: String,
        /// What is wrong, after the name.
        what: &'static str,
    },
    /// No connection.
    #[error("{0}")]
    Egress(#[from] EgressError),
    /// No TLS over it.
    #[error("the mail server cannot be spoken to over TLS: {0}")]
    Tls(Failure),
    /// The PEM text of issuers.
    #[error("the PEM text of trusted issuers holds no certificate that can be read")]
    Roots,
    /// Nothing secret was sent.
    #[error(
        "the mail server offers no STARTTLS, so nothing was sent; set security to tls if it has a port for that"
    )]
    NoStartTls,
    /// What came in plain text would count as said under TLS.
    #[error("the mail server sent more than its answer before TLS, so nothing was sent")]
    EarlyText,
    /// Neither PLAIN nor LOGIN.
    #[error(
        "the mail server offers no way to sign in with user and password (AUTH PLAIN or LOGIN)"
    )]
    NoSignIn,
    /// Wrong user or password.
    #[error("the mail server refused user and password ({0})")]
    SignIn(ReplyCode),
    /// Nobody got the mail.
    #[error("the mail server refused \"{field}\" ({code}), so the mail was sent to nobody")]
    Recipient {
        /// The position among the inputs: `to[1]`.
        field: String,
        /// Why.
        code: ReplyCode,
    },
    /// Known before it was sent.
    #[error("the message has {size} bytes; the mail server takes at most {limit}")]
    TooLarge {
        /// Of the whole message, encoded.
        size: usize,
        /// What the server announces.
        limit: u64,
    },
    /// Needs SMTPUTF8 (RFC 6531), which the server does not offer.
    #[error("the mail server takes only addresses of ASCII characters before the @")]
    NoUtf8,
    /// Any other reply that refuses.
    #[error("the mail server refused {stage} ({code})")]
    Refused {
        /// What was answered.
        stage: Stage,
        /// How.
        code: ReplyCode,
    },
    /// Not a reply, one that is too long, or one that nobody asked for.
    #[error("what the server answered to {0} is not SMTP")]
    Garbage(Stage),
    /// The connection ended.
    #[error("the connection broke before the mail server answered {0}{after}", after = doubt(*.0))]
    Broken(Stage),
    /// The time was up.
    #[error("the mail server did not answer {0} in time{after}", after = doubt(*.0))]
    Timeout(Stage),
}

impl MailError {
    pub(super) fn input(field: impl Into<String>, what: &'static str) -> Self {
        Self::Input { field: field.into(), what }
    }

    /// The step error code.
    pub(crate) fn code(&self) -> StepErrorCode {
        match self {
            Self::Input { .. } | Self::Roots | Self::TooLarge { .. } | Self::NoUtf8 => {
                StepErrorCode::ValidationFailed
            }
            Self::Egress(error) => {
                StepErrorCode::parse(error.code()).unwrap_or(StepErrorCode::ConnectionFailed)
            }
            Self::Timeout(_) => StepErrorCode::Timeout,
            Self::Recipient { code, .. } | Self::Refused { code, .. } if is_of_the_mail(*code) => {
                StepErrorCode::ValidationFailed
            }
            Self::Tls(_)
            | Self::NoStartTls
            | Self::EarlyText
            | Self::NoSignIn
            | Self::SignIn(_)
            | Self::Recipient { .. }
            | Self::Refused { .. }
            | Self::Garbage(_)
            | Self::Broken(_) => StepErrorCode::ConnectionFailed,
        }
    }

    /// Whether the server is waiting for the next command.
    pub(super) fn leaves_dialogue(&self) -> bool {
        matches!(
            self,
            Self::NoSignIn
                | Self::SignIn(_)
                | Self::Recipient { .. }
                | Self::TooLarge { .. }
                | Self::NoUtf8
                | Self::Refused { .. }
        )
    }
}

/// Said of the one stage after which nobody knows.
fn doubt(stage: Stage) -> &'static str {
    match stage {
        Stage::Message => "; it may have taken the mail all the same",
        _ => "",
    }
}

/// 550 to 559: a mailbox, the size, or the mail as a whole is refused for good; 501: an address is none
/// (RFC 5321 section 4.2.3).
fn is_of_the_mail(code: ReplyCode) -> bool {
    (550..560).contains(&code.basic()) || code.basic() == 501
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_what_to_change() {
        let check = |basic: u16, expected: StepErrorCode| {
            let code = ReplyCode::new(basic, "");
            let refused = MailError::Refused { stage: Stage::Message, code };
            assert_eq!(refused.code(), expected, "{basic}");
            let recipient = MailError::Recipient { field: "to[0]".into(), code };
            assert_eq!(recipient.code(), expected, "{basic}");
        };
        for basic in [421, 450, 451, 452, 500, 503, 530] {
            check(basic, StepErrorCode::ConnectionFailed);
        }
        for basic in [501, 550, 551, 552, 553, 554] {
            check(basic, StepErrorCode::ValidationFailed);
        }
        let wrong = MailError::SignIn(ReplyCode::new(535, "5.7.8 hunter2 is wrong"));
        assert_eq!(wrong.code(), StepErrorCode::ConnectionFailed);
        assert_eq!(wrong.to_string(), "the mail server refused user and password (535 5.7.8)");
        assert_eq!(MailError::Timeout(Stage::Data).code(), StepErrorCode::Timeout);
    }
}
