//! How a credential is shown: everything but values, and to whom how much of it.

use super::sent::SentScope;
use crate::auth::InWorkspace;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{
    CodeAccess, Credential, CredentialType, Scope, Status, TestRequest,
};
use keyward_model::destination::Place;
use keyward_model::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};
use keyward_model::tag::Tagged;
use keyward_model::tenant::Member;
use keyward_store::{Reader, StoreError};
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
}

/// Where a credential counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ScopeView {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<WorkflowId>,
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
    key: String,
    name: String,
    #[serde(rename = "type")]
    kind: CredentialType,
    status: Status,
    scope: ScopeView,
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
            Scope::Workspace => None,
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

impl ShortView {
    /// Shows a credential to whoever may list it.
    pub(crate) fn new(credential: &Credential, now: Timestamp) -> Self {
        Self {
            key: credential.key.clone(),
            name: credential.details.name.clone(),
            kind: credential.kind,
            status: credential.status_at(now),
            scope: credential.scope.into(),
        }
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
    last_uses: HashMap<CredentialId, Timestamp>,
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
        let last_uses = tx.last_uses(workspace, &ids)?;
        Ok(Self { now: Timestamp::default(), last_uses, owners, emails: HashMap::new() })
    }

    /// Checks the members' tags and sets the time that statuses are shown for.
    pub(crate) async fn verified(mut self, api: &Api, workspace: WorkspaceId) -> Self {
        for (id, member) in self.owners.drain() {
            if let Ok(member) = api.vault().verify(workspace, member).await {
                self.emails.insert(id, member.email);
            }
        }
        self.now = api.vault().now();
        self
    }

    /// The time that statuses are shown for.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Shows a credential to whoever may see its configuration.
    pub(crate) fn view(&self, credential: &Credential) -> CredentialView {
        let details = &credential.details;
        let (hosts, methods, paths, places) = credential.policy.lists();
        let status = credential.status_at(self.now);
        let status_reason = match status {
            Status::Expired => Some("expired".to_owned()),
            Status::Active | Status::Error => credential.status_reason.clone(),
        };
        CredentialView {
            id: credential.id,
            key: credential.key.clone(),
            name: details.name.clone(),
            description: details.description.clone(),
            kind: credential.kind,
            app: None,
            scheme: None,
            scope: credential.scope.into(),
            environment: details.environment.clone(),
            tags: details.tags.clone(),
            fields: fields(credential),
            hosts,
            methods: methods.to_vec(),
            paths: paths.to_vec(),
            places: places.to_vec(),
            code_access: credential.code_access,
            template: details.template.clone(),
            test: details.test.clone(),
            version: credential.version,
            status,
            status_reason,
            owner: OwnerView {
                id: credential.owner,
                email: self.emails.get(&credential.owner).cloned(),
            },
            shared: false,
            created_at: credential.created_at,
            updated_at: credential.updated_at,
            rotated_at: credential.rotated_at,
            last_used_at: self.last_uses.get(&credential.id).copied(),
            expires_at: credential.expires_at,
        }
    }
}

fn fields(credential: &Credential) -> BTreeMap<String, FieldView> {
    let details = &credential.details;
    let secret = details
        .secret
        .iter()
        .map(|name| (name.clone(), FieldView { secret: true, set: Some(true), value: None }));
    let plain = details.plain.iter().map(|(name, value)| {
        (name.clone(), FieldView { secret: false, set: None, value: Some(value.clone()) })
    });
    secret.chain(plain).collect()
}

/// Shows one credential, reading what belongs to it.
pub(crate) async fn view(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
) -> Result<CredentialView, Problem> {
    let (workspace, shown) = (scope.id(), credential.clone());
    let around = api.store().read(move |tx| Around::read(tx, workspace, [&shown].into_iter()));
    Ok(around.await?.verified(api, workspace).await.view(credential))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
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
        }
    }

    fn around(now: i64) -> Around {
        let credential = credential();
        Around {
            now: Timestamp::from_millis(now),
            last_uses: HashMap::from([(credential.id, Timestamp::from_millis(2000))]),
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
            "expires_at": "1970-01-01T00:00:09.000Z",
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

    #[test]
    fn who_may_only_list_sees_five_members() {
        let workflow = WorkflowId::from_bytes([4; 16]);
        let credential = Credential { scope: Scope::Workflow(workflow), ..credential() };
        let shown = Shown::Short(ShortView::new(&credential, Timestamp::from_millis(0)));
        let expected = json!({
            "key": "KEY", "name": "Key", "type": "api_key", "status": "error",
            "scope": {"kind": "workflow", "workflow": workflow},
        });
        assert_eq!(serde_json::to_value(shown).expect("JSON"), expected);
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
