//! Workspaces, keys, members, tokens, nodes, small values and idempotent replies.

use crate::fixture::{Fixture, at, conflict, id, open, sign};
use keyward_model::id::{MemberId, NodeId};
use keyward_model::tenant::ApiToken;
use keyward_store::{Page, Reply, StoreError};

pub(crate) async fn small_values_are_kept(f: &Fixture) {
    let first = f.store.record(|tx| tx.init_meta("instance", b"one")).await;
    assert_eq!(first, Ok(b"one".to_vec()));
    let second = f.store.record(|tx| tx.init_meta("instance", b"two")).await;
    assert_eq!(second, Ok(b"one".to_vec()), "the first one decides");
    f.store.record(|tx| tx.put_meta("instance", &[0, 255])).await.unwrap();
    assert_eq!(f.store.read(|r| r.meta("instance")).await, Ok(Some(vec![0, 255])));
    assert_eq!(f.store.read(|r| r.meta("nothing")).await, Ok(None));
    assert_eq!(f.store.healthy().await, Ok(()));
}

pub(crate) async fn workspaces_are_found_and_listed(f: &Fixture) {
    let rows: Vec<_> = ["a", "b", "c"].iter().map(|slug| f.workspace_row(slug)).collect();
    for row in rows.clone() {
        f.write(move |tx| tx.insert_workspace(&row)).await.unwrap();
    }
    let again = f.workspace_row("b");
    assert_eq!(conflict(f.write(move |tx| tx.insert_workspace(&again)).await), "slug");

    let (b, by_slug) = (rows[1].clone(), f.store.read(|r| r.workspace_by_slug("b")).await);
    assert_eq!(by_slug, Ok(Some(b.clone())));
    assert_eq!(f.store.read(move |r| r.workspace(b.id)).await, Ok(Some(rows[1].clone())));
    assert_eq!(f.store.read(|r| r.workspace(id())).await, Ok(None));

    let first = f.store.read(|r| r.workspaces(&Page::first(2))).await.unwrap();
    assert_eq!(first.items, rows[..2]);
    let rest = Page { limit: 2, after: first.next };
    let second = f.store.read(move |r| r.workspaces(&rest)).await.unwrap();
    assert_eq!((second.items.as_slice(), second.next), (&rows[2..], None));
    let bad = Page { limit: 2, after: Some("elsewhere".into()) };
    let refused = f.store.read(move |r| r.workspaces(&bad)).await;
    assert_eq!(refused.unwrap_err(), StoreError::BadCursor);
}

pub(crate) async fn tokens_are_found_by_their_hash(f: &Fixture) {
    let workspace = f.workspace;
    let maker: MemberId = id();
    let token = |first: u8| ApiToken {
        workspace,
        id: id(),
        member: maker,
        name: "CI".into(),
        hash: [first; 32],
        scopes: "run".into(),
        expires_at: Some(at(99)),
        created_at: at(7),
    };
    let (one, two) = (token(1), token(2));
    for token in [sign(one.clone()), sign(two.clone())] {
        f.write(move |tx| tx.insert_token(&token)).await.unwrap();
    }
    let twice = sign(token(2));
    assert_eq!(conflict(f.write(move |tx| tx.insert_token(&twice)).await), "token");
    let found = f.store.read(|r| r.token_by_hash(&[2; 32])).await.unwrap();
    assert_eq!(found.map(open), Some(two.clone()));
    assert!(f.store.read(|r| r.token_by_hash(&[3; 32])).await.unwrap().is_none());
    let page = f.store.read(move |r| r.tokens(workspace, &Page::first(1))).await.unwrap();
    assert_eq!(page.items.into_iter().map(open).collect::<Vec<_>>(), vec![one.clone()]);
    assert_eq!(page.next, Some(one.id.to_string()));

    let whose = |member| {
        move |r: &mut keyward_store::Reader<'_>| r.tokens_of(workspace, member, &Page::first(9))
    };
    let own = f.store.read(whose(maker)).await.unwrap().items;
    assert_eq!(own.into_iter().map(open).collect::<Vec<_>>(), [one.clone(), two.clone()]);
    assert!(f.store.read(whose(id())).await.unwrap().items.is_empty());

    assert_eq!(f.write(move |tx| tx.delete_token(id(), one.id)).await, Ok(false), "elsewhere");
    assert_eq!(f.write(move |tx| tx.delete_token(workspace, one.id)).await, Ok(true));
    assert!(f.store.read(|r| r.token_by_hash(&[1; 32])).await.unwrap().is_none());
    f.write(move |tx| tx.delete_member(workspace, maker)).await.unwrap();
    assert!(f.store.read(|r| r.token_by_hash(&[2; 32])).await.unwrap().is_none());
}

pub(crate) async fn replies_are_kept_once(f: &Fixture) {
    let workspace = f.workspace;
    let reply =
        Reply { request_digest: vec![1], status: 201, body: b"{}".to_vec(), created_at: at(10) };
    let kept = reply.clone();
    let put = move |tx: &mut keyward_store::RunTx<'_>| {
        tx.put_idempotent_reply(workspace, "mem_1", b"key", &kept)
    };
    f.store.record(put.clone()).await.unwrap();
    let again = put.clone();
    assert_eq!(conflict(f.store.record(put).await), "idempotency key");
    let found = f.store.read(move |r| r.idempotent_reply(workspace, "mem_1", b"key")).await;
    assert_eq!(found, Ok(Some(reply)));
    let other = f.store.read(move |r| r.idempotent_reply(workspace, "mem_2", b"key")).await;
    assert_eq!(other, Ok(None));
    let settle = move |tx: &mut keyward_store::RunTx<'_>| {
        tx.settle_idempotent_reply(workspace, "mem_1", b"key", 204, b"")
    };
    f.store.record(settle).await.unwrap();
    let found = f.store.read(move |r| r.idempotent_reply(workspace, "mem_1", b"key")).await;
    assert_eq!(found.unwrap().map(|reply| (reply.status, reply.body)), Some((204, vec![])));
    let release = move |caller: &'static str| {
        move |tx: &mut keyward_store::RunTx<'_>| {
            tx.release_idempotency_key(workspace, caller, b"key")
        }
    };
    f.store.record(release("mem_2")).await.unwrap();
    assert_eq!(f.store.record(|tx| tx.purge_idempotent_replies(at(10))).await, Ok(0));
    assert_eq!(f.store.record(|tx| tx.purge_idempotent_replies(at(11))).await, Ok(1));
    f.store.record(again).await.unwrap();
    f.store.record(release("mem_1")).await.unwrap();
    let gone = f.store.read(move |r| r.idempotent_reply(workspace, "mem_1", b"key")).await;
    assert_eq!(gone, Ok(None));
}

pub(crate) async fn nodes_live_and_die(f: &Fixture) {
    let (old, new): (NodeId, NodeId) = (id(), id());
    for (node, seen) in [(old, 5), (new, 5), (new, 20)] {
        f.store.record(move |tx| tx.heartbeat(node, at(seen))).await.unwrap();
    }
    assert_eq!(f.store.read(|r| r.dead_nodes(at(10))).await, Ok(vec![old]));
    f.store.record(move |tx| tx.delete_node(old)).await.unwrap();
    assert_eq!(f.store.read(|r| r.dead_nodes(at(10))).await, Ok(vec![]));
}

pub(crate) async fn a_closed_store_refuses(f: &Fixture) {
    f.store.record(|tx| tx.put_meta("last", b"word")).await.unwrap();
    f.store.close().await;
    let refused = f.store.record(|tx| tx.put_meta("last", b"more")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(f.store.healthy().await, Err(StoreError::Unavailable(_))));
    let again = keyward_store::Store::open(&f.target).unwrap();
    assert_eq!(again.read(|r| r.meta("last")).await, Ok(Some(b"word".to_vec())));
}
