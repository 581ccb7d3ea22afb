//! Which credential a step gets: the real decision beside a slow, obvious one, on every mixture of
//! scopes, shares, owners and authors.

use keyward_model::actor::{Actor, ActorKind};
use keyward_model::clock::Timestamp;
use keyward_model::credential::{CodeAccess, Credential, CredentialType, Details, Scope, Status};
use keyward_model::destination::EgressPolicy;
use keyward_model::id::{CredentialId, Identifier as _, MemberId, RunId, WorkflowId, WorkspaceId};
use keyward_model::lifecycle::{Done, Lifecycle};
use keyward_model::policy::{Asked, StepContext};
use keyward_model::saved_workflow::Allowlist;
use keyward_model::settings::Settings;
use keyward_model::share::{Level, Share, Sharee};
use proptest::prelude::*;

const WORKSPACE: u8 = 1;
const WORKFLOW: u8 = 7;
const KEY: &str = "KEY";

fn member(byte: u8) -> MemberId {
    MemberId::from_bytes([byte; 16])
}

fn workflow(byte: u8) -> WorkflowId {
    WorkflowId::from_bytes([byte; 16])
}

fn workspace() -> WorkspaceId {
    WorkspaceId::from_bytes([WORKSPACE; 16])
}

/// A credential as the generator makes it: `number` is its id and its age.
fn credential(number: u8, scope: Scope, deleted: bool) -> Credential {
    let at = Timestamp::from_millis(i64::from(number % 3));
    let done = Done { by: member(1), at, reason: String::new() };
    Credential {
        workspace: workspace(),
        id: CredentialId::from_bytes([number; 16]),
        key: KEY.into(),
        kind: CredentialType::Custom,
        scope,
        policy: EgressPolicy::default(),
        code_access: CodeAccess::Sealed,
        details: Details {
            name: String::new(),
            description: String::new(),
            environment: String::new(),
            tags: Vec::new(),
            plain: Default::default(),
            secret: Vec::new(),
            template: None,
            test: None,
            ..Details::default()
        },
        version: 1,
        status: Status::Active,
        status_reason: None,
        owner: match scope {
            Scope::Personal(owner) => owner,
            _ => member(1),
        },
        created_at: at,
        updated_at: at,
        rotated_at: at,
        expires_at: None,
        revision: 1,
        lifecycle: Lifecycle { deleted: deleted.then_some(done), ..Lifecycle::default() },
    }
}

#[derive(Debug, Clone)]
struct Case {
    candidates: Vec<Credential>,
    shares: Vec<Share>,
    owner: u8,
    author: u8,
    may_run: bool,
    allowlist: Option<(bool, bool)>,
    declared: bool,
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Workspace),
        (WORKFLOW..WORKFLOW + 2).prop_map(|byte| Scope::Workflow(workflow(byte))),
        (1..4u8).prop_map(|byte| Scope::Personal(member(byte))),
    ]
}

fn share() -> impl Strategy<Value = (u8, Option<u8>, Level)> {
    (0..6u8, proptest::option::of(1..4u8), proptest::sample::select(Level::ALL.to_vec()))
}

prop_compose! {
    fn case()(
        scopes in proptest::collection::vec((scope(), proptest::bool::weighted(0.2)), 0..6),
        shares in proptest::collection::vec(share(), 0..6),
        owner in 1..4u8,
        author in 1..4u8,
        may_run in proptest::bool::weighted(0.9),
        allowlist in proptest::option::weighted(0.95, (any::<bool>(), any::<bool>())),
        declared in proptest::bool::weighted(0.9),
    ) -> Case {
        let numbered = (0u8..).zip(scopes);
        let made = numbered.map(|(number, (scope, deleted))| credential(number, scope, deleted));
        let shares = shares.into_iter().map(|(number, to, level)| Share {
            workspace: workspace(),
            credential: CredentialId::from_bytes([number; 16]),
            sharee: to.map_or(Sharee::All, |byte| Sharee::Member(member(byte))),
            level,
            by: member(1),
            at: Timestamp::default(),
        });
        Case {
            candidates: made.collect(), shares: shares.collect(), owner, author, may_run,
            allowlist, declared,
        }
    }
}

/// The rules, one sentence after the other, without any cleverness.
fn obvious(case: &Case) -> Result<CredentialId, &'static str> {
    let Some((enabled, listed)) = case.allowlist else { return Err("allowlist_gone") };
    if !case.may_run {
        return Err("starter");
    }
    if enabled && !listed {
        return Err("allowlist");
    }
    if !case.declared {
        return Err("undeclared");
    }
    let shared_with = |credential: &Credential, who: MemberId| {
        case.shares.iter().any(|share| {
            share.credential == credential.id
                && (share.sharee == Sharee::All || share.sharee == Sharee::Member(who))
        })
    };
    let (owner, author) = (member(case.owner), member(case.author));
    let mut alive: Vec<_> =
        case.candidates.iter().filter(|c| c.lifecycle.deleted.is_none()).collect();
    alive.sort_by_key(|c| (c.created_at, c.id));
    for credential in &alive {
        if credential.scope == Scope::Workflow(workflow(WORKFLOW)) {
            return Ok(credential.id);
        }
    }
    for credential in &alive {
        if credential.scope == Scope::Personal(owner) {
            let usable = author == owner || shared_with(credential, author);
            return if usable { Ok(credential.id) } else { Err("not_adopted") };
        }
    }
    for credential in &alive {
        let Scope::Personal(holder) = credential.scope else { continue };
        if shared_with(credential, owner) {
            let usable = author == holder || shared_with(credential, author);
            return if usable { Ok(credential.id) } else { Err("not_adopted") };
        }
    }
    for credential in &alive {
        if credential.scope == Scope::Workspace {
            return Ok(credential.id);
        }
    }
    match alive.iter().any(|c| matches!(c.scope, Scope::Personal(_))) {
        true => Err("not_shared"),
        false => Err("not_found"),
    }
}

fn real(case: &Case) -> Result<CredentialId, &'static str> {
    ask(case, None)
}

/// The real decision, for whichever counts or for one of the candidates.
fn ask(case: &Case, wanted: Option<CredentialId>) -> Result<CredentialId, &'static str> {
    let context = StepContext {
        workspace: workspace(),
        workflow: workflow(WORKFLOW),
        run: RunId::from_bytes([9; 16]),
        step: "s".into(),
        starter: Actor { kind: ActorKind::Trigger, id: String::new(), name: String::new() },
    };
    let allowlist = case.allowlist.map(|(enabled, listed)| Allowlist {
        workspace: workspace(),
        workflow: workflow(WORKFLOW),
        enabled,
        keys: if listed { vec![KEY.into()] } else { Vec::new() },
    });
    let asked = Asked {
        context: &context,
        key: KEY,
        starter_may_run: case.may_run,
        owner: Some(member(case.owner)),
        author: Some(member(case.author)),
        allowlist: allowlist.as_ref(),
        declared: case.declared,
        candidates: case.candidates.clone(),
        shares: &case.shares,
        settings: &Settings::default(),
    };
    let granted = match wanted {
        None => asked.grant(),
        Some(wanted) => asked.grant_of(wanted),
    };
    granted.map(|grant| grant.credential().id).map_err(|refusal| refusal.reason)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_most_specific_credential_counts(case in case()) {
        prop_assert_eq!(real(&case), obvious(&case));
    }

    #[test]
    fn asking_for_one_credential_agrees_with_what_a_step_gets(case in case()) {
        let given = real(&case);
        for candidate in case.candidates.iter().filter(|c| c.lifecycle.deleted.is_none()) {
            let found = ask(&case, Some(candidate.id));
            match given {
                Ok(id) if id == candidate.id => prop_assert_eq!(found, Ok(id)),
                Err(reason) if reason != "not_adopted" => prop_assert_eq!(found, Err(reason)),
                _ => {
                    let passed_over = ["shadowed", "not_shared", "not_found", "not_adopted"];
                    prop_assert!(found.is_err_and(|reason| passed_over.contains(&reason)));
                }
            }
        }
    }
}
