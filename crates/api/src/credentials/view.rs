//! How a credential is shown: everything but values, and to whom how much of it.

use super::access::{SettingsRow, read_settings, settings_of, verified_shares};
use super::sent::SentScope;
use crate::auth::InWorkspace;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::actor::Caller;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{
    CodeAccess, Credential, CredentialType, Link, Scope, Status, TestRequest,
};
use keyward_model::destination::Place;
use keyward_model::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};
use keyward_model::lifecycle::TestOutcome;
use keyward_model::permission::{Act, Whose, decide};
use keyward_model::settings::Settings;
use keyward_model::share::Share;
use keyward_model::tag::Tagged;
use keyward_model::tenant::Member;
use keyward_store::{Activity, Reader, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// A credential without its values.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CredentialView {
    id: CredentialId,
    key: String,
    name: String,
    description: String,
    #[serde(rename = "type")]
    kind: CredentialType,
    /// The app that it belongs to.
    app: Option<String>,
    /// Which of the app's schemes.
    scheme: Option<String>,
    scope: ScopeView,
    environment: String,
    tags: Vec<String>,
    /// Secret fields by name alone, plain ones with their value.
    fields: BTreeMap<String, FieldView>,
    hosts: Vec<String>,
    methods: Vec<String>,
    paths: Vec<String>,
    places: Vec<Place>,
    code_access: CodeAccess,
    template: Option<Value>,
    test: Option<TestRequest>,
    version: i64,
    status: Status,
    /// Why it cannot be used, a fixed word.
    status_reason: Option<String>,
    owner: OwnerView,
    shared: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    rotated_at: Timestamp,
    last_used_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    /// Whether its date is near, as the workspace's settings have it.
    expires_soon: bool,
    /// How the last test of the current version ended.
    last_test: Option<TestOutcome>,
    /// The version that waits for its promotion.
    staged: Option<StagedView>,
    /// Of a deleted one: until when it can be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    restorable_until: Option<Timestamp>,
}

/// Where a credential counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ScopeView {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<WorkflowId>,
}

/// A version that waits for its promotion.
#[derive(Serialize, JsonSchema)]
struct StagedView {
    version: i64,
    at: Timestamp,
    test: Option<TestOutcome>,
}

/// One field.
#[derive(Serialize, JsonSchema)]
struct FieldView {
    secret: bool,
    /// Of a secret field: that it has a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<bool>,
    /// Of a plain field: its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Of a linked field: where its value is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
}

/// Who made it.
#[derive(Serialize, JsonSchema)]
struct OwnerView {
    id: MemberId,
    /// Null where the member has left.
    email: Option<String>,
}

/// What everybody with the right to list sees.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ShortView {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<CredentialId>,
    key: String,
    name: String,
    #[serde(rename = "type")]
    kind: CredentialType,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeView>,
    /// Of another member's personal one: whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerView>,
}

/// A credential whose row somebody else than the server wrote; nothing else of it is believed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct BrokenView {
    id: CredentialId,
    key: Option<String>,
    scope: Option<ScopeView>,
    status: Status,
    /// `tampered` or `unreadable`.
    status_reason: &'static str,
}

/// An entry of the list, or the one asked for.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Shown {
    /// Everything but the values.
    Full(Box<CredentialView>),
    /// What editors and operators see.
    Short(ShortView),
    /// A row that cannot be believed.
    Broken(BrokenView),
}

impl From<Scope> for ScopeView {
    fn from(scope: Scope) -> Self {
        let workflow = match scope {
            Scope::Workspace | Scope::Personal(_) => None,
            Scope::Workflow(id) => Some(id),
        };
        Self { kind: scope.kind(), workflow }
    }
}

impl PartialEq<SentScope> for ScopeView {
    fn eq(&self, sent: &SentScope) -> bool {
        let workflow = self.workflow.map(|id| id.to_string());
        self.kind == sent.kind && workflow == sent.workflow
    }
}

impl BrokenView {
    /// A row that carries no valid tag.
    pub(crate) fn tampered(row: &Tagged<Credential>) -> Self {
        let (row, _) = row.parts();
        Self {
            id: row.id,
            key: Some(row.key.clone()),
            scope: Some(row.scope.into()),
            status: Status::Error,
            status_reason: "tampered",
        }
    }

    /// A row that cannot even be read.
    pub(crate) fn unreadable(id: CredentialId, key: Option<String>, scope: Option<Scope>) -> Self {
        let scope = scope.map(ScopeView::from);
        Self { id, key, scope, status: Status::Error, status_reason: "unreadable" }
    }
}

/// What is shown of credentials beside their own rows.
pub(crate) struct Around {
    now: Timestamp,
    settings: Settings,
    settings_row: Option<SettingsRow>,
    activity: HashMap<CredentialId, Vec<Activity>>,
    share_rows: Vec<Tagged<Share>>,
    shares: Vec<Share>,
    owners: HashMap<MemberId, Tagged<Member>>,
    emails: HashMap<MemberId, String>,
}

impl Around {
    /// Reads what belongs to these credentials.
    pub(crate) fn read<'a>(
        tx: &mut Reader<'_>,
        workspace: WorkspaceId,
        credentials: impl Iterator<Item = &'a Credential>,
    ) -> Result<Self, StoreError> {
        let (mut ids, mut owners) = (Vec::new(), HashMap::new());
        for credential in credentials {
            ids.push(credential.id);
            if owners.contains_key(&credential.owner) {
                continue;
            }
            match tx.member(workspace, credential.owner) {
                Ok(Some(member)) => drop(owners.insert(credential.owner, member)),
                // A member's row that cannot be read must not hide the credential.
                Ok(None) | Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut activity: HashMap<_, Vec<_>> = HashMap::new();
        for seen in tx.activity(workspace, &ids)? {
            activity.entry(seen.credential).or_default().push(seen);
        }
        Ok(Self {
            now: Timestamp::default(),
            settings: Settings::strictest(),
            settings_row: read_settings(tx, workspace)?,
            activity,
            share_rows: tx.shares(workspace, &ids)?,
            shares: Vec::new(),
            owners,
            emails: HashMap::new(),
        })
    }

    /// Checks the rows' tags and sets the time that statuses are shown for.
    pub(crate) async fn verified(
        mut self,
        api: &Api,
        workspace: WorkspaceId,
    ) -> Result<Self, Problem> {
        for (id, member) in self.owners.drain() {
            if let Ok(member) = api.vault().verify(workspace, member).await {
                self.emails.extend(member.left_at.is_none().then_some((id, member.email)));
            }
        }
        let rows = std::mem::take(&mut self.share_rows);
        self.shares = verified_shares(api.vault(), workspace, rows).await;
        self.settings = settings_of(api.vault(), workspace, self.settings_row.take()).await?;
        self.now = api.vault().now();
        Ok(self)
    }

    /// Shows a credential as far as the caller may see it; `None` where they may not know of it.
    pub(crate) fn show(&self, credential: &Credential, caller: &Caller) -> Option<Shown> {
        let may = |act| decide(act, caller, credential, &self.shares, &self.settings).is_ok();
        if may(Act::View) {
            return Some(Shown::Full(Box::new(self.view(credential))));
        }
        may(Act::List).then(|| Shown::Short(self.short(credential, caller)))
    }

    /// Shows what everybody with the right to list sees.
    pub(crate) fn short(&self, credential: &Credential, caller: &Caller) -> ShortView {
        let others = Whose::of(credential.scope, caller) == Whose::Others;
        let (status, _) = self.status(credential);
        ShortView {
            id: Some(credential.id),
            key: credential.key.clone(),
            name: credential.details.name.clone(),
            kind: credential.kind,
            status,
            scope: (!others).then(|| credential.scope.into()),
            owner: others.then(|| self.owner(credential)),
        }
    }

    /// How many shares there are in a credential.
    pub(crate) fn shares_in(&self, credential: &Credential) -> usize {
        self.shares.iter().filter(|share| share.credential == credential.id).count()
    }

    /// What was seen of the current version in use.
    fn current(&self, credential: &Credential) -> Option<&Activity> {
        let seen = self.activity.get(&credential.id)?;
        seen.iter().find(|seen| seen.version == credential.version)
    }

    /// The status with its reason, as of now and of what was seen in use.
    fn status(&self, credential: &Credential) -> (Status, Option<String>) {
        let rejected = self.current(credential).is_some_and(|seen| seen.rejected_at.is_some());
        match credential.status_at(self.now) {
            Status::Expired => (Status::Expired, Some("expired".into())),
            Status::Active if rejected => (Status::Error, Some("rejected_by_service".into())),
            status => (status, credential.status_reason.clone()),
        }
    }

    fn owner(&self, credential: &Credential) -> OwnerView {
        let email = self.emails.get(&credential.owner).cloned();
        OwnerView { id: credential.owner, email }
    }

    /// Whether the date of its value is near.
    fn expires_soon(&self, credential: &Credential) -> bool {
        let ahead = i64::from(self.settings.expiry_warning_days).saturating_mul(86_400_000);
        let warned = self.now.plus_millis(ahead);
        credential.expires_at.is_some_and(|at| at > self.now && at <= warned)
    }

    /// Shows a credential to whoever may see its configuration.
    pub(crate) fn view(&self, credential: &Credential) -> CredentialView {
        let details = &credential.details;
        let life = &credential.lifecycle;
        let (hosts, methods, paths, places) = credential.policy.lists();
        let (status, status_reason) = self.status(credential);
        let seen = self.activity.get(&credential.id);
        let last_used_at = seen.into_iter().flatten().map(|seen| seen.last_used_at).max();
        CredentialView {
            id: credential.id,
            key: credential.key.clone(),
            name: details.name.clone(),
            description: details.description.clone(),
            kind: credential.kind,
            app: details.app.clone(),
            scheme: details.scheme.clone(),
            scope: credential.scope.into(),
            environment: details.environment.clone(),
            tags: details.tags.clone(),
            fields: fields(credential),
            hosts,
            methods: methods.to_vec(),
            paths: paths.to_vec(),
            places: places.to_vec(),
            code_access: credential.code_access,
            template: details.template.clone().filter(|_| details.app.is_none()),
            test: details.test.clone(),
            version: credential.version,
            status,
            status_reason,
            owner: self.owner(credential),
            shared: self.shares.iter().any(|share| share.credential == credential.id),
            created_at: credential.created_at,
            updated_at: credential.updated_at,
            rotated_at: credential.rotated_at,
            last_used_at,
            expires_at: credential.expires_at,
            expires_soon: self.expires_soon(credential),
            last_test: life.test.clone(),
            staged: life.staged.as_ref().map(|staged| StagedView {
                version: staged.version,
                at: staged.at,
                test: staged.test.clone(),
            }),
            restorable_until: credential.restorable_until(),
        }
    }
}

fn fields(credential: &Credential) -> BTreeMap<String, FieldView> {
    let details = &credential.details;
    let secret = details.secret.iter().map(|name| {
        let link = details.links.get(name).cloned();
        (name.clone(), FieldView { secret: true, set: Some(true), value: None, link })
    });
    let plain = details.plain.iter().map(|(name, value)| {
        let value = Some(value.clone());
        (name.clone(), FieldView { secret: false, set: None, value, link: None })
    });
    secret.chain(plain).collect()
}

/// Shows one credential, reading what belongs to it.
pub(crate) async fn view(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
) -> Result<CredentialView, Problem> {
    Ok(around(api, scope, credential).await?.view(credential))
}

/// Shows one credential as far as the caller may see it.
pub(crate) async fn show(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
) -> Result<Shown, Problem> {
    let around = around(api, scope, credential).await?;
    around.show(credential, &scope.caller).map(alone).ok_or_else(Problem::not_found)
}

/// The same to whoever has just given it away, and so knows of it.
pub(crate) async fn show_given(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
) -> Result<Shown, Problem> {
    let around = around(api, scope, credential).await?;
    let known = || Shown::Short(around.short(credential, &scope.caller));
    Ok(alone(around.show(credential, &scope.caller).unwrap_or_else(known)))
}

async fn around(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
) -> Result<Around, Problem> {
    let (workspace, shown) = (scope.id(), credential.clone());
    let around = api.store().read(move |tx| Around::read(tx, workspace, [&shown].into_iter()));
    around.await?.verified(api, workspace).await
}

/// Of another member's own, whoever names it learns no more than the contract says.
fn alone(shown: Shown) -> Shown {
    match shown {
        Shown::Short(short) if short.owner.is_some() => {
            Shown::Short(ShortView { id: None, ..short })
        }
        shown => shown,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use keyward_model::actor::Role;
    use keyward_model::credential::Details;
    use keyward_model::destination::EgressPolicy;
    use keyward_model::id::Identifier as _;
    use serde_json::json;

    /// An api_key bound to example.com.
    pub(in crate::credentials) fn credential() -> Credential {
        let (host, path) = (["example.com".to_owned()], ["/v1/*".to_owned()]);
        let at = Timestamp::from_millis(1000);
        Credential {
            workspace: WorkspaceId::from_bytes([1; 16]),
            id: CredentialId::from_bytes([2; 16]),
            key: "KEY".into(),
            kind: CredentialType::ApiKey,
            scope: Scope::Workspace,
            policy: EgressPolicy::parse(&host, &[], &path, &[]).expect("a policy"),
            code_access: CodeAccess::Sealed,
            details: Details {
                name: "Key".into(),
                description: "what for".into(),
                environment: "prod".into(),
                tags: vec!["alerts".into()],
                plain: BTreeMap::from([("in".into(), "query".into())]),
                secret: vec!["value".into()],
                template: None,
                test: None,
                ..Details::default()
            },
            version: 3,
            status: Status::Error,
            status_reason: Some("unreadable".into()),
            owner: MemberId::from_bytes([3; 16]),
            created_at: at,
            updated_at: at,
            rotated_at: at,
            expires_at: Some(Timestamp::from_millis(9000)),
            revision: 7,
            lifecycle: Default::default(),
        }
    }

    fn around(now: i64) -> Around {
        let credential = credential();
        let seen = Activity {
            credential: credential.id,
            version: credential.version,
            uses: 1,
            failures: 1,
            last_used_at: Timestamp::from_millis(2000),
            rejected_at: Some(Timestamp::from_millis(2000)),
            runs: 0,
        };
        Around {
            now: Timestamp::from_millis(now),
            settings: Settings::default(),
            settings_row: None,
            activity: HashMap::from([(credential.id, vec![seen])]),
            share_rows: Vec::new(),
            shares: Vec::new(),
            owners: HashMap::new(),
            emails: HashMap::from([(credential.owner, "bob@example.com".into())]),
        }
    }

    #[test]
    fn a_credential_is_shown_with_every_member_and_no_value() {
        let credential = credential();
        let shown = serde_json::to_value(around(8999).view(&credential)).expect("JSON");
        let expected = json!({
            "id": credential.id, "key": "KEY", "name": "Key", "description": "what for",
            "type": "api_key", "app": null, "scheme": null, "scope": {"kind": "workspace"},
            "environment": "prod", "tags": ["alerts"],
            "fields": {
                "value": {"secret": true, "set": true},
                "in": {"secret": false, "value": "query"},
            },
            "hosts": ["example.com"], "methods": [], "paths": ["/v1/*"], "places": [],
            "code_access": "sealed", "template": null, "test": null, "version": 3,
            "status": "error", "status_reason": "unreadable",
            "owner": {"id": credential.owner, "email": "bob@example.com"}, "shared": false,
            "created_at": "1970-01-01T00:00:01.000Z", "updated_at": "1970-01-01T00:00:01.000Z",
            "rotated_at": "1970-01-01T00:00:01.000Z", "last_used_at": "1970-01-01T00:00:02.000Z",
            "expires_at": "1970-01-01T00:00:09.000Z", "expires_soon": true, "last_test": null,
            "staged": null,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_status_is_that_of_now() {
        let shown = serde_json::to_value(around(9000).view(&credential())).expect("JSON");
        assert_eq!(
            (&shown["status"], &shown["status_reason"]),
            (&json!("expired"), &json!("expired"))
        );
    }

    fn caller(role: Role, member: u8) -> Caller {
        Caller {
            workspace: WorkspaceId::from_bytes([1; 16]),
            member: MemberId::from_bytes([member; 16]),
            name: String::new(),
            role,
        }
    }

    #[test]
    fn what_the_service_refused_counts_as_an_error_until_the_value_is_another() {
        let check = |status: Status, version: i64, expected: (&str, Option<&str>)| {
            let credential = Credential { status, version, status_reason: None, ..credential() };
            let (status, reason) = around(1000).status(&credential);
            assert_eq!((status.as_str(), reason.as_deref()), expected);
        };
        check(Status::Active, 3, ("error", Some("rejected_by_service")));
        check(Status::Active, 4, ("active", None));
        check(Status::Suspended, 3, ("suspended", None));
    }

    #[test]
    fn who_may_only_list_sees_six_members() {
        let workflow = WorkflowId::from_bytes([4; 16]);
        let credential = Credential { scope: Scope::Workflow(workflow), ..credential() };
        let shown = around(0).show(&credential, &caller(Role::Operator, 9));
        let expected = json!({
            "id": credential.id, "key": "KEY", "name": "Key", "type": "api_key",
            "status": "error", "scope": {"kind": "workflow", "workflow": workflow},
        });
        assert_eq!(serde_json::to_value(shown).expect("JSON"), expected);
    }

    #[test]
    fn of_another_members_own_admins_see_whose_it_is_and_editors_nothing() {
        let owner = MemberId::from_bytes([3; 16]);
        let credential = Credential { scope: Scope::Personal(owner), ..credential() };
        let shown = around(0).show(&credential, &caller(Role::Admin, 9));
        let expected = json!({
            "id": credential.id, "key": "KEY", "name": "Key", "type": "api_key",
            "status": "error", "owner": {"id": owner, "email": "bob@example.com"},
        });
        assert_eq!(serde_json::to_value(shown).expect("JSON"), expected);
        assert!(around(0).show(&credential, &caller(Role::Editor, 9)).is_none());
        let own = around(0).show(&credential, &caller(Role::Editor, 3));
        assert!(matches!(own, Some(Shown::Full(_))));
    }

    #[test]
    fn of_a_foreign_row_only_its_place_is_shown() {
        let row = Tagged::stored(credential(), [0; 32]);
        let shown = Shown::Broken(BrokenView::tampered(&row));
        let expected = json!({
            "id": credential().id, "key": "KEY", "scope": {"kind": "workspace"},
            "status": "error", "status_reason": "tampered",
        });
        assert_eq!(serde_json::to_value(shown).expect("JSON"), expected);
    }

    #[test]
    fn scopes_are_compared_with_what_was_sent() {
        let check = |kind: &str, workflow: Option<&str>, expected: bool| {
            let sent = SentScope { kind: kind.into(), workflow: workflow.map(Into::into) };
            assert_eq!(ScopeView::from(Scope::Workspace) == sent, expected, "{sent:?}");
        };
        check("workspace", None, true);
        check("workspace", Some("wf_x"), false);
        check("workflow", Some("wf_x"), false);
        check("personal", None, false);
    }
}
