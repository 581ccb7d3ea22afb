//! Actions that ask a database.

use super::Doing;
use crate::secret::Secret;
use crate::sources::{PoolKey, Query, Rows, SourceError, Target, TlsMode, sqlite};
use crate::step::{Holder, StepFailure, StepVault};
use keyward_model::catalogue::Protocol;
use keyward_model::error::StepErrorCode;
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How large rows may be as JSON: as large as a step's output.
const MAX_BYTES: usize = 5 << 20;
/// How many rows where the step says nothing.
const MAX_ROWS: u64 = 1_000;

impl StepVault {
    pub(crate) async fn query(&self, doing: &Doing<'_>) -> Result<Value, StepFailure> {
        self.refuse_sealed(&doing.inputs).await?;
        let params = doing.inputs.get("params").and_then(Value::as_array);
        let max_rows = doing.inputs.get("max_rows").and_then(Value::as_u64).unwrap_or(MAX_ROWS);
        let query = Query {
            sql: doing.input("sql"),
            params: params.map_or(&[], Vec::as_slice),
            max_rows: usize::try_from(max_rows).unwrap_or(usize::MAX),
            max_bytes: MAX_BYTES,
            read_only: doing.inputs.get("write").and_then(Value::as_bool) != Some(true),
            deadline: doing.deadline,
        };
        let rows = match doing.app.manifest.protocol {
            Protocol::Sqlite => self.ask_file(doing, &query).await?,
            _ => self.ask_server(doing, &query).await?,
        };
        Ok(json!({ "rows": rows.rows, "row_count": rows.row_count }))
    }

    async fn ask_file(&self, doing: &Doing<'_>, query: &Query<'_>) -> Result<Rows, StepFailure> {
        if let Some(Holder::Stored(key)) = &doing.authentication.holder {
            self.record_plain_use(key).await?;
        }
        let path = doing.plain("path")?;
        let folder = self.vault().sqlite_folder();
        let rows = sqlite(folder, &path, query).await;
        rows.map_err(|error| self.source_failure(doing, &error))
    }

    async fn ask_server(&self, doing: &Doing<'_>, query: &Query<'_>) -> Result<Rows, StepFailure> {
        let (host, port) = doing.place()?;
        let tls = TlsMode::parse(&doing.plain("tls")?).unwrap_or(TlsMode::Verify);
        let password = self.released(doing, "password", (&host, port)).await?;
        let none = Secret::new(Zeroizing::default());
        let database = doing.plain("database").ok();
        let ca_pem = doing.plain("ca_pem").ok();
        let target = Target {
            host: &host,
            port,
            database: database.as_deref(),
            username: &doing.plain("username")?,
            password: password.as_deref().unwrap_or(&none),
            tls,
            ca_pem: ca_pem.as_deref().map(str::as_bytes),
        };
        let (sources, egress) = (self.vault().sources(), self.egress());
        let authentication = &doing.authentication;
        let at = self.context();
        let key = format!("{}/{}/{}", at.workspace, authentication.id, authentication.version);
        let key = PoolKey::new(key);
        let rows = match doing.app.manifest.protocol {
            Protocol::Mysql => sources.mysql(egress, &key, &target, query).await,
            _ => sources.postgres(egress, &key, &target, query).await,
        };
        rows.map_err(|error| self.source_failure(doing, &error))
    }

    fn source_failure(&self, doing: &Doing<'_>, error: &SourceError) -> StepFailure {
        if let Some(holder) = &doing.authentication.holder {
            self.note_answer(&[holder], matches!(error, SourceError::SignIn));
        }
        StepFailure::new(error.code(), error.to_string())
    }

    /// The value of a secret field, released for a server; none where the field is not set.
    pub(super) async fn released(
        &self,
        doing: &Doing<'_>,
        field: &str,
        (host, port): (&str, u16),
    ) -> Result<Option<Arc<Secret>>, StepFailure> {
        match doing.authentication.texts.get(field) {
            Some(text) => self.release_text(text, host, port).await.map(Some),
            None => Ok(None),
        }
    }
}

impl Doing<'_> {
    pub(super) fn input(&self, name: &str) -> &str {
        self.inputs.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn plain(&self, name: &str) -> Result<String, StepFailure> {
        self.authentication.plain(&self.scheme, name).ok_or_else(|| {
            let message = format!("the credential's field \"{name}\" is not set");
            StepFailure::new(StepErrorCode::ValidationFailed, message)
        })
    }

    /// Host and port.
    pub(super) fn place(&self) -> Result<(String, u16), StepFailure> {
        let port = self.plain("port")?.parse();
        let port = port.map_err(|_| {
            let message = "the credential's field \"port\" is no port";
            StepFailure::new(StepErrorCode::ValidationFailed, message)
        })?;
        Ok((self.plain("host")?, port))
    }
}
