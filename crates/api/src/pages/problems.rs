//! The page of each problem code and step error code: the texts of `docs/errors/`, built in.

macro_rules! pages {
    ($($code:literal)*) => {
        &[$(($code, include_str!(concat!("../../../../docs/errors/", $code, ".md")))),*]
    };
}

/// Every code with its page.
const PAGES: &[(&str, &str)] = pages! {
    "audit_unavailable" "cancelled" "conflict" "connection_failed" "credential_in_use"
    "credential_not_allowed_here" "credential_unusable" "destination_blocked" "forbidden"
    "http_status" "internal" "interrupted" "invalid_json" "invalid_request" "memory_limit"
    "method_not_allowed" "missing_credential" "not_found" "output_too_large" "payload_too_large"
    "rate_limited" "run_failed" "script_error" "store_unavailable" "template_error"
    "test_not_defined" "timeout" "unauthenticated" "unavailable" "unsupported_media_type"
    "validation_failed" "value_too_large"
};

/// The page of a code.
pub(super) fn find(code: &str) -> Option<(&'static str, &'static str)> {
    PAGES.iter().find(|(known, _)| *known == code).copied()
}

/// A page's title: its first line.
pub(super) fn title(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("# ").replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::error::{PROBLEM_CODES, StepErrorCode};
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_its_page_and_every_page_its_code() {
        let problems = PROBLEM_CODES.iter().map(|(code, ..)| *code);
        let steps = StepErrorCode::ALL.iter().map(|code| code.as_str());
        let codes: BTreeSet<_> = problems.chain(steps).collect();
        let pages: BTreeSet<_> = PAGES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, pages);
        assert_eq!(pages.len(), PAGES.len(), "a page stands there twice");
    }

    #[test]
    fn every_page_says_what_happened_and_what_to_do() {
        for (code, text) in PAGES {
            assert!(text.starts_with("# ") && title(text).len() > 4, "{code}: no title");
            for heading in ["\n## What happened\n", "\n## What to do\n"] {
                assert!(text.contains(heading), "{code}: no {heading:?}");
            }
            assert!((6..=32).contains(&text.lines().count()), "{code}: too short or too long");
        }
    }

    #[test]
    fn examples_are_json_with_the_page_s_code() {
        for (code, text) in PAGES {
            let Some((_, rest)) = text.split_once("```json\n") else { continue };
            let (example, _) = rest.split_once("```").expect(code);
            let example: serde_json::Value = serde_json::from_str(example).expect(code);
            assert_eq!(example["code"], *code);
            if let Some((_, status, title)) = PROBLEM_CODES.iter().find(|(known, ..)| known == code)
            {
                assert_eq!(example["status"], *status, "{code}");
                assert_eq!(example["title"], *title, "{code}");
                assert_eq!(example["type"], format!("/problems/{code}"));
            }
        }
    }

    #[test]
    fn links_between_pages_lead_somewhere() {
        for (code, text) in PAGES {
            for part in text.split("](").skip(1) {
                let (target, _) = part.split_once(')').expect(code);
                let known = match target.strip_suffix(".md") {
                    Some(other) => find(other).is_some(),
                    None => target == "/api/docs",
                };
                assert!(known, "{code} links to {target}");
            }
        }
    }
}
