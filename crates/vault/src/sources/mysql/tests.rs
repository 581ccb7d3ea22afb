//! Against a real MariaDB, and against scripts where it takes a MySQL: types both ways, signing in,
//! what a query may do, and what it is told.

use super::super::testing::{Protocol, Server, egress, query, secret};
use super::super::{PoolKey, Query, SourceError, Sources, TlsMode};
use super::wire::{Wire, put_counted};
use crate::sources::error::{Code, Reason, Refusal};
use keyward_egress::Failure;
use keyward_model::error::StepErrorCode;
use keyward_testkit::authority::Authority;
use keyward_testkit::canary::canary;
use keyward_testkit::mariadb::{self, MariaDb};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn password() -> String {
    canary("mariadb-password")
}

/// Asked with TLS and the server's own issuer.
fn client(mariadb: &MariaDb) -> Server {
    Server {
        protocol: Protocol::MySql,
        sources: Sources::default(),
        egress: egress("127.0.0.1, localhost"),
        key: PoolKey::new("workspace".to_owned()),
        host: "127.0.0.1".to_owned(),
        port: mariadb.port(),
        database: mariadb::DATABASE.to_owned(),
        username: mariadb::USER.to_owned(),
        password: secret(&password()),
        tls: TlsMode::Verify,
        ca_pem: Some(mariadb.ca_pem().to_owned()),
    }
}

#[tokio::test]
async fn values_become_json() {
    let mariadb = MariaDb::start(&password());
    let server = client(&mariadb);
    let columns = [
        ("tinyint", "-5", json!(-5)),
        ("tinyint unsigned", "200", json!(200)),
        ("bool", "true", json!(1)),
        ("smallint", "-300", json!(-300)),
        ("smallint unsigned", "65535", json!(65535)),
        ("mediumint", "-8388608", json!(-8_388_608)),
        ("int", "-2147483648", json!(-2_147_483_648_i64)),
        ("int unsigned", "4294967295", json!(4_294_967_295_u32)),
        ("bigint", "-9007199254740993", json!(-9_007_199_254_740_993_i64)),
        ("bigint unsigned", "18446744073709551615", json!(u64::MAX)),
        ("float", "0.1", json!(0.1)),
        ("double", "-1.5e300", json!(-1.5e300)),
        ("decimal(20, 6)", "12345.678900", json!("12345.678900")),
        ("bit(10)", "b'1000000001'", json!(513)),
        ("year", "2024", json!(2024)),
        ("date", "'2024-02-29'", json!("2024-02-29")),
        ("datetime(6)", "'1999-12-31 23:59:59.999999'", json!("1999-12-31T23:59:59.999999")),
        ("datetime", "'2024-01-02'", json!("2024-01-02T00:00:00")),
        ("timestamp(3) null", "'2024-01-02 03:04:05.120'", json!("2024-01-02T03:04:05.12Z")),
        ("time(6)", "'-100:02:03.5'", json!("-100:02:03.5")),
        ("time", "'00:00:00'", json!("00:00:00")),
        ("char(3)", "'ab'", json!("ab")),
        ("varchar(20)", "'ä\"b \u{1f511}'", json!("ä\"b \u{1f511}")),
        ("text", "repeat('x', 300)", json!("x".repeat(300))),
        ("longtext", "repeat('y', 70000)", json!("y".repeat(70_000))),
        ("binary(2)", "x'00ff'", json!("AP8=")),
        ("varbinary(9)", "x'00ff'", json!("AP8=")),
        ("blob", "x'00ff'", json!("AP8=")),
        ("enum('a', 'b')", "'b'", json!("b")),
        ("set('a', 'b')", "'a,b'", json!("a,b")),
        ("json", "'{\"a\": 1}'", json!("{\"a\": 1}")),
        ("inet6", "'::1'", json!("::1")),
        (
            "uuid",
            "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'",
            json!("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ),
        ("int", "null", json!(null)),
    ];
    let definitions = columns.iter().enumerate().map(|(at, (kind, ..))| format!("c{at} {kind}"));
    let definitions = definitions.collect::<Vec<_>>().join(", ");
    let values = columns.iter().map(|(_, value, _)| *value).collect::<Vec<_>>().join(", ");
    server.change(&format!("CREATE TABLE t ({definitions})")).await;
    server.change(&format!("INSERT INTO t VALUES ({values})")).await;
    let found = server.ask(query("SELECT * FROM t", &[])).await.unwrap();
    for (at, (kind, _, expected)) in columns.iter().enumerate() {
        assert_eq!(&found.rows[0][&format!("c{at}")], expected, "{kind}");
    }
}

#[tokio::test]
async fn json_becomes_parameters_and_never_sql() {
    let mariadb = MariaDb::start(&password());
    let server = client(&mariadb);
    server.change("CREATE TABLE t (x text)").await;
    let cases = [
        ("?", json!(-7), json!(-7)),
        ("?", json!(u64::MAX), json!(u64::MAX)),
        ("?", json!(0.1), json!(0.1)),
        ("?", json!(true), json!(1)),
        ("?", json!("ä 'x' \u{1f511}"), json!("ä 'x' \u{1f511}")),
        ("?", json!(""), json!("")),
        ("?", json!(null), json!(null)),
        ("?", json!("'; DROP TABLE t; --"), json!("'; DROP TABLE t; --")),
        ("json_value(?, '$.a[1]')", json!({"a": [1, "x"]}), json!("x")),
        ("length(?)", json!("x".repeat(70_000)), json!(70_000)),
        // As long as a packet can be, and longer.
        ("length(?)", json!("x".repeat(0xff_ffff - 16)), json!(0xff_ffff - 16)),
        ("cast(? as date)", json!("2024-02-29"), json!("2024-02-29")),
    ];
    server.change("SET GLOBAL max_allowed_packet = 67108864").await;
    let server = client(&mariadb);
    for (expression, sent, expected) in cases {
        let found = server.one(&format!("SELECT {expression}"), &[sent]).await;
        assert_eq!(found, expected, "{expression}");
    }
    for length in [0xff_ffff - 15, 0xff_ffff, 0x100_0001] {
        let sent = [json!("x".repeat(length))];
        assert_eq!(server.one("SELECT length(?)", &sent).await, json!(length));
    }
    let ten: Vec<Value> = (0..10).map(|n| if n == 8 { Value::Null } else { json!(n) }).collect();
    let found = server.one("SELECT concat_ws('-', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &ten).await;
    assert_eq!(found, json!("0-1-2-3-4-5-6-7-9"));
    let attack = [json!("1' OR '1'='1")];
    assert_eq!(
        server.ask(query("SELECT x FROM t WHERE x = ?", &attack)).await.unwrap().row_count,
        0
    );
}

fn refused_for(number: u16, reason: Reason) -> SourceError {
    let code = Code::Number(number);
    SourceError::Refused(Refusal { code, reason: Some(reason), position: None })
}

#[tokio::test]
async fn changes_take_leave_and_mistakes_are_told_without_values() {
    let mariadb = MariaDb::start(&password());
    let server = client(&mariadb);
    let table = "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, x varchar(99) UNIQUE, y int NOT NULL DEFAULT 1 CHECK (y < 9))";
    server.change(table).await;
    server
        .change("CREATE PROCEDURE sneak() BEGIN COMMIT; INSERT INTO t (x) VALUES ('c'); END")
        .await;
    let params = [json!(canary("mariadb-row"))];
    let insert = || query("INSERT INTO t (x) VALUES (?)", &params);
    let refused = [
        insert(),
        query("DROP TABLE t", &[]),
        query("CREATE TABLE u (x int)", &[]),
        query("TRUNCATE t", &[]),
        query("CALL sneak()", &[]),
    ];
    for query in refused {
        let sql = query.sql;
        assert_eq!(server.refusal(query).await, refused_for(1792, Reason::ReadOnly), "{sql}");
    }
    assert_eq!(server.one("SELECT count(*) FROM t", &[]).await, json!(0));
    let changed = server.ask(Query { read_only: false, ..insert() }).await.unwrap();
    assert_eq!((changed.rows.len(), changed.row_count), (0, 1));
    // What is over a limit is undone.
    let too_many = query("INSERT INTO t (x) VALUES ('a'), ('b') RETURNING x", &[]);
    let error = server.refusal(Query { read_only: false, max_rows: 1, ..too_many }).await;
    assert_eq!(error, SourceError::TooManyRows(1));
    assert_eq!(server.one("SELECT count(*) FROM t", &[]).await, json!(1));

    let with = |sql| Query { read_only: false, ..query(sql, &params) };
    let cases = [
        (with("SELEC ?"), refused_for(1064, Reason::Syntax)),
        (with("SELECT ?; SELECT 1"), refused_for(1064, Reason::Syntax)),
        (with("SELECT * FROM nothing WHERE x = ?"), refused_for(1146, Reason::NoTable)),
        (with("SELECT nothing FROM t WHERE x = ?"), refused_for(1054, Reason::NoColumn)),
        (with("SELECT nothing(?)"), refused_for(1305, Reason::NoFunction)),
        (with("INSERT INTO t (x) VALUES (?)"), refused_for(1062, Reason::Unique)),
        (
            with("INSERT INTO t (x, y) VALUES (concat(?, 'x'), 10)"),
            refused_for(4025, Reason::Check),
        ),
        (
            with("INSERT INTO t (x, y) VALUES (concat(?, 'x'), NULL)"),
            refused_for(1048, Reason::NotNull),
        ),
        (with("INSERT INTO t (y) VALUES (?)"), refused_for(1366, Reason::Value)),
        (query("SELECT 1", &params), SourceError::ParameterCount { given: 1, wanted: 0 }),
        (query("SELECT ?", &[]), SourceError::ParameterCount { given: 0, wanted: 1 }),
        (query("SELECT 1 AS a, 2 AS a", &[]), SourceError::ColumnName(2)),
        (query(" ", &[]), SourceError::NoStatement),
    ];
    for (query, expected) in cases {
        let sql = query.sql;
        assert_eq!(server.refusal(query).await, expected, "{sql}");
    }
    let file = query("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t", &[]);
    let error = server.refusal(Query { read_only: false, ..file }).await;
    assert_eq!(error.code(), StepErrorCode::ValidationFailed, "{error}");
}

#[tokio::test]
async fn limits_hold_and_connections_are_kept() {
    let mariadb = MariaDb::start(&password());
    let server = client(&mariadb);
    let rows = "SELECT seq FROM seq_1_to_10";
    let check = async |query: Query<'_>, expected: SourceError| {
        let sql = query.sql;
        assert_eq!(server.refusal(query).await, expected, "{sql}");
    };
    let found = server.ask(Query { max_rows: 10, ..query(rows, &[]) }).await.unwrap();
    assert_eq!(found.row_count, 10);
    check(Query { max_rows: 9, ..query(rows, &[]) }, SourceError::TooManyRows(9)).await;
    let huge = "SELECT repeat('x', 15000000) AS x";
    check(Query { max_bytes: 1000, ..query(huge, &[]) }, SourceError::TooLarge(1000)).await;
    let wide = "SELECT repeat('x', 90) AS x";
    assert!(server.ask(Query { max_bytes: 100, ..query(wide, &[]) }).await.is_ok());
    check(Query { max_bytes: 98, ..query(wide, &[]) }, SourceError::TooLarge(98)).await;
    let deadline = Instant::now() + Duration::from_millis(500);
    check(Query { deadline, ..query("SELECT sleep(600)", &[]) }, SourceError::Timeout).await;

    let first = server.one("SELECT connection_id()", &[]).await;
    server.idle(1).await;
    // Nothing of one use is left for the next.
    server.change("SET @left = 5").await;
    server.idle(1).await;
    assert_eq!(server.one("SELECT @left", &[]).await, json!(null));
    server.idle(1).await;
    assert_eq!(server.one("SELECT connection_id()", &[]).await, first);
    server.idle(1).await;
    // A connection that the server has closed is not noticed by whoever asks.
    let other = client(&mariadb);
    other.change(&format!("KILL {first}")).await;
    assert_ne!(server.one("SELECT connection_id()", &[]).await, first);
}

#[tokio::test]
async fn the_way_there_is_as_safe_as_asked() {
    let mariadb = MariaDb::start(&password());
    let sql = "SELECT variable_value <> '' FROM information_schema.session_status WHERE variable_name = 'Ssl_version'";
    let cases = [
        (TlsMode::Verify, true, "127.0.0.1", Ok(1)),
        (TlsMode::Verify, true, "localhost", Ok(1)),
        (TlsMode::Verify, false, "localhost", Err(SourceError::Tls(Failure::UnknownIssuer))),
        (TlsMode::Require, false, "localhost", Ok(1)),
        (TlsMode::Off, false, "localhost", Ok(0)),
    ];
    for (tls, with_ca, host, expected) in cases {
        let mut server = Server { tls, host: host.to_owned(), ..client(&mariadb) };
        if !with_ca {
            server.ca_pem = None;
        }
        let found = server.ask(query(sql, &[])).await;
        let found = found.map(|rows| rows.rows[0].values().next().and_then(Value::as_i64).unwrap());
        assert_eq!(found, expected, "{tls:?} {host}");
    }
    let check = async |server: Server, code: StepErrorCode, text: &str| {
        let error = server.refusal(query("SELECT 1", &[])).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    };
    let failed = StepErrorCode::ConnectionFailed;
    let start = || client(&mariadb);
    let wrong = Server { password: secret(&canary("mariadb-wrong")), ..start() };
    check(wrong, failed, "refused user and password").await;
    check(Server { password: secret(""), ..start() }, failed, "refused user and password").await;
    let nobody = Server { username: "nobody".to_owned(), ..start() };
    check(nobody, failed, "refused user and password").await;
    let nowhere = Server { database: "nowhere".to_owned(), ..start() };
    check(nowhere, failed, "no database of that name").await;
    let blocked = Server { egress: egress(""), ..start() };
    check(blocked, StepErrorCode::DestinationBlocked, "KEYWARD_EGRESS_ALLOW").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    check(Server { port: closed, ..start() }, failed, "refused").await;
}

/// What a MySQL 8 says first, with its usual way of signing in.
fn greeting(tls: bool) -> Vec<u8> {
    let capabilities: u32 = 0x0028_a205 | if tls { 0x800 } else { 0 } | 0x8;
    let [a, b, c, d] = capabilities.to_le_bytes();
    let mut out = b"\x0a8.4.0\0\x01\0\0\0abcdefgh\0".to_vec();
    out.extend_from_slice(&[a, b, 45, 2, 0, c, d, 21]);
    out.extend_from_slice(&[0; 10]);
    out.extend_from_slice(b"ijklmnopqrst\0caching_sha2_password\0");
    out
}

/// An answer that all went well.
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

/// A MySQL 8 that answers the proof with `asked`; gives back what it was sent, first and then.
async fn mysql_8(
    authority: &Authority,
    tls: bool,
    asked: &'static [u8],
) -> (u16, tokio::task::JoinHandle<Vec<Vec<u8>>>) {
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.server(&["localhost"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let greeting = greeting(tls);
        let length = u8::try_from(greeting.len()).unwrap();
        stream.write_all(&[&[length, 0, 0, 0], greeting.as_slice()].concat()).await.unwrap();
        let mut wire = if tls {
            stream.read_exact(&mut [0; 36]).await.unwrap();
            Wire::new(Box::new(acceptor.accept(stream).await.unwrap()), 2)
        } else {
            Wire::new(Box::new(stream), 1)
        };
        let mut sent = vec![wire.receive().await.unwrap()];
        wire.send(asked).await.unwrap();
        sent.extend(wire.receive().await);
        if sent.len() == 2 {
            wire.send(OK).await.unwrap();
        }
        sent
    });
    (port, serving)
}

#[tokio::test]
async fn a_password_is_said_only_in_tls() {
    let authority = Authority::new("MySQL");
    // SHA256(p) XOR SHA256(SHA256(SHA256(p)) + challenge), worked out elsewhere.
    let proof = "d33ccf4b54805146195348ef276d56c01e29d316a634bc69349ec9193afdb950";
    let (whole, other): (&[u8], &[u8]) = (&[1, 4], b"\xfeclient_ed25519\0abcdefgh");
    let said: Option<&[u8]> = Some(b"swordfish\0");
    let file: &[u8] = b"\xfb/etc/passwd";
    let cases = [
        // Signed in, and then the script is over.
        (true, whole, SourceError::Broken, said),
        (false, whole, SourceError::SignInPlain, None),
        (true, other, SourceError::SignInMethod, None),
        (true, file, SourceError::Protocol, None),
    ];
    for (tls, asked, expected, then) in cases {
        let (port, serving) = mysql_8(&authority, tls, asked).await;
        let server = Server {
            protocol: Protocol::MySql,
            sources: Sources::default(),
            egress: egress("127.0.0.1, localhost"),
            key: PoolKey::new("workspace".to_owned()),
            host: "localhost".to_owned(),
            port,
            database: "shop".to_owned(),
            username: "somebody".to_owned(),
            password: secret("swordfish"),
            tls: if tls { TlsMode::Verify } else { TlsMode::Off },
            ca_pem: Some(authority.pem().to_owned()),
        };
        let error = server.refusal(query("SELECT 1", &[])).await;
        let sent = serving.await.unwrap();
        let shown = data_encoding::HEXLOWER.encode(&sent[0]);
        assert!(shown.contains(proof), "{shown}");
        assert_eq!((error, sent.get(1).map(Vec::as_slice)), (expected, then));
    }
}

#[tokio::test]
async fn servers_that_misbehave() {
    let mariadb = MariaDb::start(&password());
    let packet = |payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[length, 0, 0, 0], payload].concat()
    };
    let cases = [
        (packet(&greeting(false)), SourceError::NoTls),
        (packet(b"\xff\x10\x04Too many connections"), SourceError::Unavailable(Code::Number(1040))),
        (packet(b"\x09old"), SourceError::Protocol),
        (packet(b"\x0a8"), SourceError::Protocol),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), SourceError::Broken),
        (Vec::new(), SourceError::Broken),
    ];
    for (answer, expected) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&answer).await.unwrap();
        });
        let server = Server { port, ..client(&mariadb) };
        assert_eq!(server.refusal(query("SELECT 1", &[])).await, expected);
    }
}

#[test]
fn lengths_are_written_as_they_are_read() {
    for length in [0, 0xfa, 0xfb, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000] {
        let mut out = Vec::new();
        put_counted(&mut out, &vec![7; length]);
        let mut reader = super::Reader::new(&out);
        assert_eq!(reader.counted().unwrap().len(), length);
        assert!(reader.rest().is_empty());
    }
}
