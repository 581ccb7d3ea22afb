//! First use: the owner, the workspace and an API token, by the set-up link or by `keyward init`.

use crate::body::Json;
use crate::guard::{Attempt, Client};
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::actor::{Actor, ActorKind, Role};
use keyward_model::audit::{Action, Event};
use keyward_model::id::{MemberId, TokenId, WorkspaceId};
use keyward_model::json::Fault;
use keyward_model::people::Account;
use keyward_model::settings::WorkspaceSettings;
use keyward_model::tenant::{ApiToken, Member, MemberKind, Workspace};
use keyward_store::{Audited, StoreError, Tx};
use keyward_vault::{Incoming, NewToken, TokenKind, Vault, VaultError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is in the way of a second first owner.
const OWNER: &str = "owner";
/// The name under which the hash of the set-up link's token is kept until an owner exists.
const SET_UP_HASH: &str = "set-up-token";

/// The first owner.
pub struct NewOwner {
    /// The e-mail address.
    pub email: String,
    /// The name of the workspace; its slug is made from it.
    pub workspace: String,
    /// The password, where one was given.
    pub password: Option<Incoming>,
}

/// Why there is no new owner.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// There is one.
    #[error("an owner exists already; sign in as one, or ask one for an invitation")]
    OwnerExists,
    /// The vault or the database.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What setting up made.
struct Made {
    workspace: Workspace,
    token: NewToken,
}

/// Makes owner, workspace and an API token that acts as the owner.
///
/// # Errors
/// `OwnerExists`, or what the vault and the database say.
pub async fn create_owner(vault: &Vault, new: NewOwner) -> Result<NewToken, SetUpError> {
    make(vault, new).await.map(|made| made.token)
}

async fn make(vault: &Vault, new: NewOwner) -> Result<Made, SetUpError> {
    let now = vault.now();
    let (workspace, member): (WorkspaceId, MemberId) = (vault.fresh(), vault.fresh());
    let account = account(vault, &new.email, new.password).await?;
    let key = vault.new_workspace(workspace)?;
    let name = new.workspace;
    let row = Workspace { id: workspace, slug: slug(&name), name, created_at: now };
    let owner = Member {
        workspace,
        id: member,
        kind: MemberKind::Person,
        account: Some(account.id),
        email: account.email.clone(),
        name: account.name.clone(),
        role: Role::Owner,
        created_at: now,
        left_at: None,
    };
    let actor = Actor { kind: ActorKind::Member, id: member.to_string(), name: owner.name.clone() };
    let event = |action| Event::new(vault.fresh(), workspace, now, actor.clone(), action);
    let events =
        [Action::WorkspaceCreated, Action::MemberJoined, Action::TokenCreated].map(event).to_vec();
    let (token, hash) = vault.new_token(TokenKind::Api)?;
    let token_row = ApiToken {
        workspace,
        id: vault.fresh::<TokenId>(),
        member,
        name: "first token".into(),
        hash,
        scopes: String::new(),
        expires_at: None,
        created_at: now,
    };
    let settings = vault.sign(workspace, WorkspaceSettings::new(workspace)).await?;
    let account = vault.sign_server(account);
    let owner = vault.sign(workspace, owner).await?;
    let token_row = vault.sign(workspace, token_row).await?;
    let made = row.clone();
    let write = move |tx: &mut Tx<'_>| {
        if tx.has_owner()? {
            return Err(StoreError::Conflict { what: OWNER });
        }
        // From here on the link opens nothing.
        tx.put_meta(SET_UP_HASH, &[])?;
        tx.insert_workspace(&row)?;
        tx.insert_settings(&settings)?;
        tx.insert_account(&account)?;
        tx.insert_member(&owner)?;
        tx.insert_token(&token_row)?;
        Ok(Audited::new((), events.clone()))
    };
    match vault.write_workspace(key, write).await {
        Ok(()) => Ok(Made { workspace: made, token }),
        Err(VaultError::Store(StoreError::Conflict { what: OWNER })) => {
            Err(SetUpError::OwnerExists)
        }
        Err(error) => Err(error.into()),
    }
}

/// The first owner's account.
async fn account(
    vault: &Vault,
    email: &str,
    password: Option<Incoming>,
) -> Result<Account, VaultError> {
    let name = email.split('@').next().unwrap_or_default().to_owned();
    let mut account = Account::new(vault.fresh(), email.to_lowercase(), name, vault.now());
    account.set_up = true;
    if let Some(password) = password {
        account.password_hash = vault.hash_password(account.id, &password).await?;
    }
    Ok(account)
}

/// Lower-case letters, digits and hyphens, from a name.
pub(crate) fn slug(name: &str) -> String {
    let plain = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let parts: Vec<_> = plain.split('-').filter(|part| !part.is_empty()).collect();
    let slug: String = parts.join("-").chars().take(60).collect();
    if slug.is_empty() { "workspace".into() } else { slug }
}

/// Whether there is an owner, so that setting up is over.
///
/// # Errors
/// Where the database cannot be used.
pub async fn has_owner(vault: &Vault) -> Result<bool, VaultError> {
    Ok(vault.store().read(|tx| tx.has_owner()).await?)
}

/// Makes the token of the set-up link; the one before stops working. Only its hash is kept.
///
/// # Errors
/// Where the database cannot be used.
pub async fn new_set_up_token(vault: &Vault) -> Result<NewToken, VaultError> {
    let (token, hash) = vault.new_token(TokenKind::SetUp)?;
    vault.store().record(move |tx| tx.put_meta(SET_UP_HASH, &hash)).await?;
    Ok(token)
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::POST,
            "/api/v1/setup",
            "setUp",
            "Make the first owner with the token of the set-up link; works until an owner exists.",
            Access::Public,
            handle,
        )
        .body::<SetUp>()
        .answer::<SetUpDone>(201)
        .problems(&["unauthenticated", "conflict", "rate_limited"]),
    ]
}

/// The first owner, as the set-up page sends it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetUp {
    /// The token of the set-up link.
    token: String,
    /// The owner's e-mail address.
    email: String,
    /// The owner's password, at least 12 characters; without it, only tokens sign in.
    #[schemars(with = "Option<String>")]
    password: Option<Incoming>,
    /// The workspace's name; `default` without it.
    workspace: Option<String>,
}

/// What setting up made: the only answer that holds the token.
#[derive(Serialize, JsonSchema)]
struct SetUpDone {
    workspace: FirstWorkspace,
    /// An API token that acts as the owner, shown this once.
    token: String,
}

/// The first workspace.
#[derive(Serialize, JsonSchema)]
struct FirstWorkspace {
    id: WorkspaceId,
    slug: String,
    name: String,
}

async fn handle(
    State(api): State<Api>,
    client: Client,
    Json(body): Json<SetUp>,
) -> Result<impl IntoResponse, Problem> {
    let vault = api.vault();
    let (taken, expected) =
        api.store().read(|tx| Ok((tx.has_owner()?, tx.meta(SET_UP_HASH)?))).await?;
    if taken {
        return Err(owner_exists());
    }
    let attempt = Attempt::begin(&api, &client, None).await?;
    let sent = vault.token_hash(TokenKind::SetUp, &body.token);
    if !same(&sent, &expected.unwrap_or_default()) {
        let detail = "the set-up link is not valid any more; `keyward setup-link` prints a new one";
        return Err(Problem::new("unauthenticated", detail));
    }
    attempt.withdrawn(&api).await?;
    let (email, workspace) = check(&body).map_err(Problem::invalid)?;
    let made = make(vault, NewOwner { email, workspace, password: body.password }).await;
    let Made { workspace, token } = made.map_err(|error| match error {
        SetUpError::OwnerExists => owner_exists(),
        SetUpError::Vault(error) => error.into(),
    })?;
    let Workspace { id, slug, name, .. } = workspace;
    let workspace = FirstWorkspace { id, slug, name };
    let done = SetUpDone { workspace, token: token.reveal().to_owned() };
    Ok((StatusCode::CREATED, axum::Json(done)))
}

/// The rules of a first owner; gives address and workspace name.
fn check(body: &SetUp) -> Result<(String, String), Vec<Fault>> {
    let workspace = body.workspace.as_deref().unwrap_or("default");
    check_owner(&body.email, workspace, body.password.as_ref().map(Incoming::len))
}

/// The rules of a first owner, whose password has that many bytes; gives the address and the
/// workspace's name as they are kept.
///
/// # Errors
/// Each rule that is broken, with `/email`, `/workspace` or `/password` as its place.
pub fn check_owner(
    email: &str,
    workspace: &str,
    password: Option<usize>,
) -> Result<(String, String), Vec<Fault>> {
    let mut faults = Vec::new();
    let email = names::email("/email", email).map_err(|fault| faults.push(fault)).ok();
    let workspace = names::name("/workspace", workspace).map_err(|fault| faults.push(fault)).ok();
    let password = password.map(|length| names::password("/password", length));
    faults.extend(password.and_then(Result::err));
    email.zip(workspace).filter(|_| faults.is_empty()).ok_or(faults)
}

fn owner_exists() -> Problem {
    Problem::new("conflict", SetUpError::OwnerExists.to_string())
}

/// Compares hashes in constant time; what is no hash is never the same.
fn same(sent: &[u8; 32], expected: &[u8]) -> bool {
    let difference = sent.iter().zip(expected).fold(0, |seen, (a, b)| seen | (a ^ b));
    expected.len() == sent.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Time};

    #[tokio::test]
    async fn there_is_one_first_owner_and_then_no_link() {
        let home = tempfile::tempdir().expect("a directory");
        let vault = testing::vault(home.path(), &Time::start()).await;
        let hash = async || vault.store().read(|tx| tx.meta(SET_UP_HASH)).await.expect("meta");
        let link = new_set_up_token(&vault).await.expect("a link");
        let kept = hash().await.unwrap_or_default();
        assert!(same(&vault.token_hash(TokenKind::SetUp, link.reveal()), &kept));
        assert!(!same(&vault.token_hash(TokenKind::Api, link.reveal()), &kept));
        let newer = new_set_up_token(&vault).await.expect("another link");
        let kept = hash().await.unwrap_or_default();
        assert!(!same(&vault.token_hash(TokenKind::SetUp, link.reveal()), &kept));
        assert!(same(&vault.token_hash(TokenKind::SetUp, newer.reveal()), &kept));

        let owner = |workspace: &str| NewOwner {
            email: "a@b.c".into(),
            workspace: workspace.into(),
            password: None,
        };
        assert!(!has_owner(&vault).await.expect("an answer"));
        create_owner(&vault, owner("first")).await.expect("an owner");
        assert!(has_owner(&vault).await.expect("an answer"));
        assert_eq!(hash().await, Some(Vec::new()));
        let second = create_owner(&vault, owner("second")).await;
        assert!(matches!(second, Err(SetUpError::OwnerExists)));
        let slug = |slug| vault.store().read(move |tx| tx.workspace_by_slug(slug));
        assert!(slug("first").await.expect("an answer").is_some());
        assert!(slug("second").await.expect("an answer").is_none());
    }

    #[test]
    fn only_the_whole_hash_is_the_same() {
        let hash = [7; 32];
        assert!(same(&hash, &[7; 32]));
        let mut other = [7; 32];
        other[31] ^= 1;
        for wrong in [&[][..], &[7; 31], &[7; 33], &other] {
            assert!(!same(&hash, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn rules_of_a_first_owner() {
        let check_rules = |body: &str, expected: Result<(&str, &str), &[&str]>| {
            let body = body.replace('{', r#"{"token":"t","#);
            let read = keyward_model::json::read::<SetUp>(body.as_bytes()).expect(&body);
            let found = check(&read).map_err(|faults| {
                faults.into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
            });
            let own = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
            let expected =
                expected.map(own).map_err(|p| p.iter().map(|p| (*p).to_owned()).collect());
            assert_eq!(found, expected, "{body}");
        };
        check_rules(r#"{"email":"A@b.c"}"#, Ok(("a@b.c", "default")));
        check_rules(r#"{"email":"a@b.c","workspace":" My team "}"#, Ok(("a@b.c", "My team")));
        check_rules(r#"{"email":"a@b.c","password":"twelve chars"}"#, Ok(("a@b.c", "default")));
        check_rules(r#"{"email":"x","workspace":""}"#, Err(&["/email", "/workspace"]));
        check_rules(r#"{"email":"a@b.c","password":"eleven char"}"#, Err(&["/password"]));
    }

    #[test]
    fn slugs_are_made_from_names() {
        let check = |name: &str, expected: &str| assert_eq!(slug(name), expected, "{name:?}");
        check("default", "default");
        check("  My Team & Söhne ", "my-team-s-hne");
        check("日本", "workspace");
        check(&"a".repeat(100), &"a".repeat(60));
    }
}
