//! Runs in which code computes a secret in a way that its source does not tell: nothing of them is
//! readable until that code has ended. Then the secret is known, and what was kept is masked anew.

use crate::runner::{Drive, State};
use keyward_model::mask::Masked;
use keyward_model::run::{NewStep, StepStatus};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a run's data may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// It may.
    No,
    /// Not until its secrets are known; where that never comes, never.
    Withheld,
    /// Never: no-store.
    Always,
}

impl Hidden {
    /// As a run's row says it.
    pub(crate) fn of(no_store: bool, withheld: bool) -> Self {
        match (no_store, withheld) {
            (false, _) => Self::No,
            (true, true) => Self::Withheld,
            (true, false) => Self::Always,
        }
    }
}

/// What is written when a run becomes readable.
pub(crate) struct Revealed {
    pub(crate) trigger: Masked,
    pub(crate) seals: String,
    /// The records before the one that revealed it.
    pub(crate) earlier: Vec<NewStep>,
}

/// Makes a run readable once each step that hid it has given its value; masks all that it has so far
/// with what is known now.
pub(crate) fn reveal(drive: &Drive, state: &mut State) -> Option<Revealed> {
    let waits_for = &drive.compiled.plan.withheld;
    let has_given = |id: &String| {
        let record = state.records.iter().find(|record| record.step == *id);
        let record = record.filter(|record| record.status == StepStatus::Succeeded);
        record.is_some_and(|record| gives_secrets(drive, state, record))
    };
    if drive.hidden != Hidden::Withheld || !state.is_hidden || !waits_for.iter().all(has_given) {
        return None;
    }
    let masked = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        state.vault.masker().json(&value)
    };
    let trigger = masked(&state.trigger);
    let records: Vec<NewStep> = state
        .records
        .iter()
        .map(|record| {
            let mut record = record.clone();
            record.input = record.input.map(|input| masked(input.as_str()));
            record.output = record.output.map(|output| masked(output.as_str()));
            record.logs = masked(record.logs.as_str());
            let message = record.error_message.as_ref();
            record.error_message = message.map(|text| state.vault.masker().text(text.as_str()));
            record.seals = with_received(&record, state);
            record
        })
        .collect();
    if !stands_in_data(waits_for, &trigger, &records, state) {
        return None;
    }
    state.is_hidden = false;
    let seals = state.vault.received_in(trigger.as_str());
    state.trigger = trigger.as_str().into();
    state.records = records;
    // Later steps read what is sealed now.
    state.context = None;
    let before = state.records.len().saturating_sub(1);
    let earlier = state.records.get(..before).unwrap_or_default().to_vec();
    Some(Revealed { trigger, seals: json(&seals), earlier })
}

/// Whether each value that was waited for was found in what the code could read. One that code has
/// turned round, or brought from elsewhere, leaves unknown what it was made of.
fn stands_in_data(
    waits_for: &BTreeSet<String>,
    trigger: &Masked,
    records: &[NewStep],
    state: &State,
) -> bool {
    waits_for.iter().all(|id| {
        let before = records.iter().take_while(|record| record.step != *id);
        let texts = before.filter_map(|record| record.output.as_ref()).chain([trigger]);
        let found: BTreeSet<String> =
            texts.flat_map(|text| state.vault.received_in(text.as_str()).into_keys()).collect();
        let record = records.iter().find(|record| record.step == *id);
        let given = record.and_then(|record| record.output.as_ref());
        let own = format!("steps.{id}.output");
        let given = given.map(|text| state.vault.received_in(text.as_str())).unwrap_or_default();
        given.iter().all(|(name, origin)| !origin.starts_with(&own) || found.contains(name))
    })
}

/// Whether a secret stands at each place of a step's output where one is taken from. One that gave
/// something else has left its run's secret unknown.
fn gives_secrets(drive: &Drive, state: &State, record: &NewStep) -> bool {
    let text = record.output.as_ref().map_or("null", Masked::as_str);
    let mut output: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let sealing = drive.compiled.plan.outputs.get(&record.step);
    sealing.into_iter().flat_map(|sealing| &sealing.rules).all(|rule| {
        let mut is_given = false;
        rule.path.each_leaf(&mut output, &rule.spared, &mut |_, leaf| {
            is_given |= leaf.as_str().is_some_and(|text| state.vault.holds_received_text(text));
        });
        is_given
    })
}

/// The sealed values of a record, those included that masking anew has put there.
fn with_received(record: &NewStep, state: &State) -> String {
    let mut seals: BTreeMap<String, String> =
        serde_json::from_str(&record.seals).unwrap_or_default();
    let texts = [record.input.as_ref(), record.output.as_ref(), Some(&record.logs)];
    for text in texts.into_iter().flatten() {
        seals.extend(state.vault.received_in(text.as_str()));
    }
    json(&seals)
}

fn json(seals: &BTreeMap<String, String>) -> String {
    serde_json::to_string(seals).unwrap_or_else(|_| "{}".into())
}
