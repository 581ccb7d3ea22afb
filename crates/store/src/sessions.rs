//! Sessions, tagged rows found by the hash of their cookie; and what is remembered of failed
//! sign-ins, shared by all nodes.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged};
use crate::tx::{Reader, RunTx, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::clock::Timestamp;
use keyward_model::id::{AccountId, SessionId};
use keyward_model::people::Session;
use keyward_model::sign_in::Failures;
use keyward_model::tag::Tagged;

macro_rules! columns {
    () => {
        "id, account_id, hash, address, user_agent, created_at, seen_at, tag"
    };
}

statements! {
    INSERT = concat!("INSERT INTO sessions (", columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    BY_HASH = concat!("SELECT ", columns!(), " FROM sessions WHERE hash = $1");
    OF = concat!("SELECT ", columns!(), " FROM sessions
        WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    SEEN = "UPDATE sessions SET seen_at = $2, tag = $3 WHERE id = $1 AND seen_at < $2";
    DELETE = "DELETE FROM sessions WHERE account_id = $1 AND id = $2";
    DELETE_OTHERS = "DELETE FROM sessions WHERE account_id = $1 AND id != $2";
    PURGE = "DELETE FROM sessions WHERE seen_at <= $1 OR created_at <= $2";
    FIRST_FAILURE = "INSERT INTO sign_in_failures (key, failures, last_at) VALUES ($1, 0, $2)
        ON CONFLICT (key) DO NOTHING";
    FAILURES = "SELECT failures, last_at FROM sign_in_failures WHERE key = $1 /*lock*/";
    SET_FAILURES = "UPDATE sign_in_failures SET failures = $2, last_at = $3 WHERE key = $1";
    FORGIVE_ONE = "UPDATE sign_in_failures SET failures = failures - 1
        WHERE key = $1 AND failures > 0";
    FORGIVE_ALL = "UPDATE sign_in_failures SET failures = 0 WHERE key = $1";
    PURGE_FAILURES = "DELETE FROM sign_in_failures WHERE last_at <= $1";
}

fn session(row: Row) -> Result<Tagged<Session>, StoreError> {
    let mut cells = Cells::new("sessions", row);
    let session = Session {
        id: cells.parsed()?,
        account: cells.parsed()?,
        hash: cells.tag()?,
        address: cells.text()?,
        user_agent: cells.text()?,
        created_at: cells.time()?,
        seen_at: cells.time()?,
    };
    Ok(Tagged::stored(session, cells.tag()?))
}

impl Reader<'_> {
    /// The session whose cookie has that hash.
    pub fn session_by_hash(
        &mut self,
        hash: &[u8; 32],
    ) -> Result<Option<Tagged<Session>>, StoreError> {
        self.session.one(BY_HASH, values![hash])?.map(session).transpose()
    }

    /// An account's sessions, oldest first, also those that are over.
    pub fn sessions_of(
        &mut self,
        account: AccountId,
        page: &Page,
    ) -> Result<Paged<Tagged<Session>>, StoreError> {
        let after = page.after::<SessionId>()?.map(|id| id.to_string()).unwrap_or_default();
        let rows = self.session.query(OF, values![account, after, page.probe()])?;
        let items = rows.into_iter().map(session).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |row: &Tagged<Session>| row.parts().0.id.to_string()))
    }
}

impl RunTx<'_> {
    /// Writes down that a session was used, unless it has ended.
    pub fn session_seen(&mut self, session: &Tagged<Session>) -> Result<(), StoreError> {
        let (s, tag) = session.parts();
        self.session.execute(SEEN, values![s.id, s.seen_at, tag]).map(|_| ())
    }

    /// Throws away sessions that were used last, or that began, at these times or before.
    pub fn purge_sessions(
        &mut self,
        seen: Timestamp,
        created: Timestamp,
    ) -> Result<u64, StoreError> {
        self.session.execute(PURGE, values![seen, created])
    }

    /// Counts an attempt to sign in as a failure under each key, unless one of them must wait: then
    /// gives for how many milliseconds. Each key comes with the number of failures that are free.
    pub fn count_attempt(
        &mut self,
        keys: &[([u8; 32], i64)],
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let mut counted = Vec::with_capacity(keys.len());
        let mut wait = None;
        for (key, free) in keys {
            self.session.execute(FIRST_FAILURE, values![key, now])?;
            let row = self.session.one(FAILURES, values![key])?.unwrap_or_default();
            let mut cells = Cells::new("sign_in_failures", row);
            let before = Failures { count: cells.number()?, last_at: cells.time()? };
            wait = wait.max(before.wait(*free, now));
            counted.push((key, Failures::one_more(Some(before), now)));
        }
        if wait.is_none() {
            for (key, failures) in counted {
                let values = values![key, failures.count, failures.last_at];
                self.session.execute(SET_FAILURES, values)?;
            }
        }
        Ok(wait)
    }

    /// Takes back one counted attempt, which was none.
    pub fn forgive_attempt(&mut self, key: &[u8; 32]) -> Result<(), StoreError> {
        self.session.execute(FORGIVE_ONE, values![key]).map(|_| ())
    }

    /// Forgets the failures under a key.
    pub fn forgive_all_attempts(&mut self, key: &[u8; 32]) -> Result<(), StoreError> {
        self.session.execute(FORGIVE_ALL, values![key]).map(|_| ())
    }

    /// Throws away failures that were last at this time or before.
    pub fn purge_attempts(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.session.execute(PURGE_FAILURES, values![before])
    }
}

impl Tx<'_> {
    /// Adds a session.
    pub fn insert_session(&mut self, session: &Tagged<Session>) -> Result<(), StoreError> {
        let (s, tag) = session.parts();
        let (address, agent) = (s.address.as_str(), s.user_agent.as_str());
        let values =
            values![s.id, s.account, &s.hash, address, agent, s.created_at, s.seen_at, tag];
        self.session.execute(INSERT, values).map_err(|error| error.named("session"))?;
        Ok(())
    }

    /// Ends one session of an account; false where there is none.
    pub fn delete_session(
        &mut self,
        account: AccountId,
        id: SessionId,
    ) -> Result<bool, StoreError> {
        Ok(self.session.execute(DELETE, values![account, id])? > 0)
    }

    /// Ends all sessions of an account but, where one is given, that one; gives their number.
    pub fn delete_sessions(
        &mut self,
        account: AccountId,
        but: Option<SessionId>,
    ) -> Result<u64, StoreError> {
        let but = but.map(|id| id.to_string()).unwrap_or_default();
        self.session.execute(DELETE_OTHERS, values![account, but])
    }
}
