//! What a step would be told if it asked for a credential now. Decided by what decides at run time;
//! nothing is opened and nothing recorded.

use crate::broker::destination;
use crate::run::RunVault;
use crate::step::resolve::decide;
use crate::vault::VaultError;
use bytes::Bytes;
use keyward_egress::Draft;
use keyward_model::id::CredentialId;
use keyward_model::policy::{Grant, Refusal, StepContext};

/// Whether a step would get one credential by its key.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The key.
    pub key: &'a str,
    /// The credential that is meant.
    pub credential: CredentialId,
    /// Whether the step names the key.
    pub declared: bool,
    /// Method and absolute URL of a request that it would go into.
    pub to: Option<(&'a str, &'a str)>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explained {
    /// It would get it.
    Given,
    /// It would not.
    Refused(Refusal),
    /// The URL or method is none that a request could have.
    NoDestination,
}

impl From<Result<(), Refusal>> for Explained {
    fn from(decided: Result<(), Refusal>) -> Self {
        decided.map_or_else(Self::Refused, |()| Self::Given)
    }
}

impl RunVault {
    /// Rows 1 to 7, and row 8 where a destination is asked for.
    pub async fn explain(
        &self,
        context: &StepContext,
        question: &Question<'_>,
    ) -> Result<Explained, VaultError> {
        let draft = match question.to.map(|(method, url)| {
            let headers: [(&str, &str); 0] = [];
            Draft::parse(method, url, headers, Bytes::new())
        }) {
            Some(Err(_)) => return Ok(Explained::NoDestination),
            Some(Ok(draft)) => Some(draft),
            None => None,
        };
        let keys = [question.key.to_owned()];
        let wanted = Some(question.credential);
        let outcomes = decide(self, context, &keys, question.declared, wanted).await?;
        let decided = outcomes.into_iter().try_for_each(|(_, outcome)| {
            let grant = outcome?;
            match &draft {
                Some(draft) => self.may_go(&grant, draft),
                None => self.usable(&grant),
            }
        });
        Ok(decided.into())
    }

    /// The keys of these that a step which names them would not get, or could not use.
    pub async fn unavailable(
        &self,
        context: &StepContext,
        keys: &[String],
    ) -> Result<Vec<String>, VaultError> {
        let outcomes = decide(self, context, keys, true, None).await?;
        let refused = outcomes.into_iter().filter_map(|(key, outcome)| {
            let decided = outcome.and_then(|grant| self.usable(&grant));
            decided.is_err().then_some(key)
        });
        Ok(refused.collect())
    }

    /// Row 7.
    fn usable(&self, grant: &Grant) -> Result<(), Refusal> {
        let vault = &self.0.vault;
        let permit = grant.verify(vault.fresh(), vault.now());
        permit.map(drop).map_err(|refused| refused.refusal)
    }

    /// Rows 7 and 8, and whether any request goes there.
    fn may_go(&self, grant: &Grant, draft: &Draft) -> Result<(), Refusal> {
        let vault = &self.0.vault;
        let to = destination(draft).map_err(|_| Refusal::AMBIGUOUS_PATH)?;
        let plain_allowed = vault.egress().allows_plain(&to.host, to.port);
        let permit = grant.use_at(vault.fresh(), vault.now(), &to, &[], plain_allowed);
        permit.map_err(|refused| refused.refusal)?;
        vault.egress().check(draft.destination()).map_err(|_| Refusal::BLOCKED)
    }
}
