//! The formats of text that are checked; all others are mere annotations.

use crate::clock::Timestamp;

/// A checked `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Email,
    Uri,
    DateTime,
    Date,
    Uuid,
}

impl Format {
    /// The format of that name, where it is one of those that are checked.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "email" => Self::Email,
            "uri" | "url" => Self::Uri,
            "date-time" => Self::DateTime,
            "date" => Self::Date,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }

    /// What such a text is, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Email => "an e-mail address, such as `ada@example.com`",
            Self::Uri => "an absolute URL, such as `https://example.com/`",
            Self::DateTime => "a date and time, such as `2026-01-31T12:00:00Z`",
            Self::Date => "a date, such as `2026-01-31`",
            Self::Uuid => "a UUID",
        }
    }

    /// Whether the text is one. Addresses are only held to having two sides and no spaces.
    pub(super) fn takes(self, text: &str) -> bool {
        match self {
            Self::Email => text.rsplit_once('@').is_some_and(|(name, host)| {
                let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
                !name.is_empty()
                    && !host.is_empty()
                    && host.chars().all(plain)
                    && !name.contains(char::is_control)
            }),
            Self::Uri => url::Url::parse(text).is_ok(),
            Self::DateTime => Timestamp::parse(text).is_some(),
            Self::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Self::Uuid => text.len() == 36 && text.parse::<uuid::Uuid>().is_ok(),
        }
    }
}
