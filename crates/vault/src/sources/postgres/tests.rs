//! Against a real PostgreSQL: types both ways, what a query may do, and what it is told.

use super::super::testing::{Protocol, Server, assert_quiet, egress, query, secret};
use super::super::{PoolKey, Query, SourceError, Sources, TlsMode};
use crate::sources::error::{Code, Reason, Refusal};
use keyward_egress::Failure;
use keyward_model::error::StepErrorCode;
use keyward_testkit::canary::canary;
use keyward_testkit::postgres::Postgres;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A new database, asked with TLS and the cluster's own issuer.
fn server() -> Server {
    let cluster = Postgres::shared();
    let url = url::Url::parse(&cluster.fresh_database()).unwrap();
    Server {
        protocol: Protocol::Postgres,
        sources: Sources::default(),
        egress: egress("127.0.0.1, localhost"),
        key: PoolKey::new("workspace".to_owned()),
        host: "127.0.0.1".to_owned(),
        port: url.port().unwrap(),
        database: url.path().trim_start_matches('/').to_owned(),
        username: url.username().to_owned(),
        password: secret(url.password().unwrap()),
        tls: TlsMode::Verify,
        ca_pem: Some(cluster.ca_pem().to_owned()),
    }
}

#[tokio::test]
async fn values_become_json() {
    let server = server();
    let cases = [
        ("1::int2", json!(1)),
        ("-5::int4", json!(-5)),
        ("9007199254740993::int8", json!(9_007_199_254_740_993_i64)),
        ("4294967295::oid", json!(4_294_967_295_u32)),
        ("0.1::float4", json!(0.1)),
        ("-1.5e300::float8", json!(-1.5e300)),
        ("'NaN'::float8", json!("NaN")),
        ("'-Infinity'::float4", json!("-Infinity")),
        ("true", json!(true)),
        ("false", json!(false)),
        ("null::int4", json!(null)),
        ("12345.678900::numeric", json!("12345.678900")),
        ("'Infinity'::numeric", json!("Infinity")),
        ("'NaN'::numeric", json!("NaN")),
        ("'ä\"b'::text", json!("ä\"b")),
        ("'ab'::char(3)", json!("ab ")),
        ("'x'::varchar(3)", json!("x")),
        ("'x'::name", json!("x")),
        ("'\\x00ff'::bytea", json!("AP8=")),
        ("'{\"a\": [1, null]}'::json", json!({"a": [1, null]})),
        ("'{\"a\": [1, null]}'::jsonb", json!({"a": [1, null]})),
        ("'\"x\"'::jsonb", json!("x")),
        (
            "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'::uuid",
            json!("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ),
        ("date '2024-02-29'", json!("2024-02-29")),
        ("date '0044-03-15 BC'", json!("-0043-03-15")),
        ("date '12345-01-02'", json!("+12345-01-02")),
        ("date 'infinity'", json!("infinity")),
        ("time '01:02:03.5'", json!("01:02:03.5")),
        ("timetz '01:02:03+05:30'", json!("01:02:03+05:30")),
        ("timetz '01:02:03-08'", json!("01:02:03-08:00")),
        ("timestamp '1999-12-31 23:59:59.999999'", json!("1999-12-31T23:59:59.999999")),
        ("timestamptz '2024-01-02 03:04:05.000006+02'", json!("2024-01-02T01:04:05.000006Z")),
        ("timestamptz '-infinity'", json!("-infinity")),
        ("interval '1 year 2 months 3 days 04:05:06.7'", json!("P1Y2M3DT4H5M6.7S")),
        ("interval '-1.5 seconds'", json!("PT-1.5S")),
        ("interval '90 seconds'", json!("PT1M30S")),
        ("interval '0'", json!("PT0S")),
        ("inet '10.0.0.1'", json!("10.0.0.1")),
        ("inet '10.0.0.1/8'", json!("10.0.0.1/8")),
        ("cidr '2001:db8::/32'", json!("2001:db8::/32")),
        ("array[1, null, 3]", json!([1, null, 3])),
        ("array[['a', 'b'], ['c', null]]", json!([["a", "b"], ["c", null]])),
        ("'{}'::int[]", json!([])),
        ("array['{\"a\": 1}'::jsonb]", json!([{"a": 1}])),
        ("pg_sleep(0)", json!(null)),
    ];
    for (expression, expected) in cases {
        let found = server.one(&format!("SELECT {expression}"), &[]).await;
        assert_eq!(found, expected, "{expression}");
    }
}

#[tokio::test]
async fn dates_and_numerics_are_as_the_server_writes_them() {
    let server = server();
    let queries = [
        "SELECT d::date AS found, to_char(d, 'YYYY-MM-DD') AS expected
         FROM generate_series(timestamp '0001-01-01', '9999-12-31', '997 days') d",
        "SELECT n AS found, n::text AS expected FROM (
            SELECT (g * 7919 % 100003 - 50000)::numeric * power(10::numeric, g % 31 - 12) AS n
            FROM generate_series(1, 2000) g) numbers",
        "SELECT n AS found, n::text AS expected FROM (
            SELECT round((g - 500)::numeric / 977, g % 11) AS n FROM generate_series(1, 1000) g) n",
    ];
    for sql in queries {
        let found = server.ask(query(sql, &[])).await.unwrap();
        assert!(found.rows.len() > 500, "{sql}");
        for row in &found.rows {
            assert_eq!(row["found"], row["expected"], "{sql}");
        }
    }
}

#[tokio::test]
async fn json_becomes_parameters() {
    let server = server();
    server.change("CREATE TYPE mood AS ENUM ('sad', 'ok')").await;
    server.change("CREATE DOMAIN small AS int CHECK (value < 10)").await;
    let same = [
        ("text", json!("it's {\"}, \\ and ä")),
        ("int4", json!(-7)),
        ("int8", json!(9_007_199_254_740_993_i64)),
        ("float8", json!(0.1)),
        ("bool", json!(true)),
        ("numeric", json!("12.50")),
        ("json", json!({"a": [1, "x"]})),
        ("jsonb", json!("text")),
        ("jsonb", json!([1, [2]])),
        ("uuid", json!("6ba7b810-9dad-11d1-80b4-00c04fd430c8")),
        ("timestamptz", json!("2024-01-02T01:04:05Z")),
        ("date", json!("2024-02-29")),
        ("bytea", json!("AP8=")),
        ("int4[]", json!([1, null, 3])),
        ("text[]", json!(["a,b", "", "NULL", "q\"\\", null])),
        ("text[]", json!([["a"], ["b"]])),
        ("jsonb[]", json!([{"a": 1}, [2]])),
        ("mood", json!("ok")),
        ("small", json!(3)),
        ("text", json!(null)),
    ];
    for (kind, value) in same {
        let sql = format!("SELECT $1::{kind}");
        assert_eq!(server.one(&sql, std::slice::from_ref(&value)).await, value, "{kind}");
    }
    assert_eq!(server.one("SELECT $1::text", &[json!(5)]).await, json!("5"));
}

#[tokio::test]
async fn parameters_are_never_sql() {
    let server = server();
    server.change("CREATE TABLE t (x text)").await;
    let attack = json!("'; DROP TABLE t; --");
    assert_eq!(server.one("SELECT $1::text", std::slice::from_ref(&attack)).await, attack);
    let sent = [attack, json!("1' OR '1'='1")];
    let found = server.ask(query("SELECT x FROM t WHERE x = $1 OR x = $2", &sent)).await;
    assert_eq!(found.unwrap().rows.len(), 0);
}

#[tokio::test]
async fn changes_take_leave_and_are_committed() {
    let server = server();
    server.change("CREATE TABLE t (id serial, x text UNIQUE)").await;
    let sent = [json!("a"), json!("b")];
    let insert = || query("INSERT INTO t (x) VALUES ($1), ($2)", &sent);
    let by_function =
        "DO $$ BEGIN SET TRANSACTION READ WRITE; INSERT INTO t (x) VALUES ('c'); END $$";
    let refused = [
        insert(),
        query("SELECT nextval('t_id_seq')", &[]),
        query("DROP TABLE t", &[]),
        query("WITH new AS (INSERT INTO t (x) VALUES ('c') RETURNING x) SELECT * FROM new", &[]),
        query("SET TRANSACTION READ WRITE", &[]),
        query("SELECT set_config('transaction_read_only', 'off', true)", &[]),
        query(by_function, &[]),
    ];
    for query in refused {
        let sql = query.sql;
        let error = server.refusal(query).await;
        assert_eq!(error.code(), StepErrorCode::ValidationFailed, "{sql}: {error}");
    }
    let error = server.refusal(insert()).await;
    assert_eq!(error, refused_for("25006", Reason::ReadOnly, None));
    assert_eq!(server.one("SELECT count(*) FROM t", &[]).await, json!(0));

    let changed = server.ask(Query { read_only: false, ..insert() }).await.unwrap();
    assert_eq!((changed.rows.len(), changed.row_count), (0, 2));
    let returning =
        Query { read_only: false, ..query("UPDATE t SET x = x || '!' RETURNING x", &[]) };
    let changed = server.ask(returning).await.unwrap();
    assert_eq!((json!(changed.rows), changed.row_count), (json!([{"x": "a!"}, {"x": "b!"}]), 2));
    // What is over a limit is undone.
    let too_many = query("UPDATE t SET x = x || '?' RETURNING x", &[]);
    let error = server.refusal(Query { read_only: false, max_rows: 1, ..too_many }).await;
    assert_eq!(error, SourceError::TooManyRows(1));
    let kept = server.ask(query("SELECT x FROM t ORDER BY x", &[])).await.unwrap();
    assert_eq!(json!(kept.rows), json!([{"x": "a!"}, {"x": "b!"}]));
}

fn refused_for(state: &str, reason: Reason, position: Option<u32>) -> SourceError {
    let code = Code::SqlState(state.to_owned());
    SourceError::Refused(Refusal { code, reason: Some(reason), position })
}

#[tokio::test]
async fn mistakes_are_told_without_values() {
    let server = server();
    let secret = canary("postgres-row");
    server.change("CREATE TABLE t (x text UNIQUE, y int NOT NULL DEFAULT 1 CHECK (y < 9))").await;
    let params = [json!(secret)];
    let with = |sql| Query { read_only: false, ..query(sql, &params) };
    server.ask(with("INSERT INTO t (x) VALUES ($1)")).await.unwrap();
    let cases = [
        (with("SELEC $1"), refused_for("42601", Reason::Syntax, Some(1))),
        (with("SELECT 'a'; SELECT $1"), refused_for("42601", Reason::Syntax, None)),
        (
            with("SELECT * FROM nothing WHERE x = $1"),
            refused_for("42P01", Reason::NoTable, Some(15)),
        ),
        (
            with("SELECT nothing FROM t WHERE x = $1"),
            refused_for("42703", Reason::NoColumn, Some(8)),
        ),
        (with("SELECT nothing($1)"), refused_for("42883", Reason::NoFunction, Some(8))),
        (with("INSERT INTO t (x) VALUES ($1)"), refused_for("23505", Reason::Unique, None)),
        (
            with("INSERT INTO t (x, y) VALUES ($1 || 'x', 10)"),
            refused_for("23514", Reason::Check, None),
        ),
        (
            with("INSERT INTO t (x, y) VALUES ($1 || 'x', null)"),
            refused_for("23502", Reason::NotNull, None),
        ),
        (with("SELECT $1::int"), refused_for("22P02", Reason::Value, None)),
        (with("SELECT x::int FROM t WHERE x = $1"), refused_for("22P02", Reason::Value, None)),
        (query("SELECT 1", &params), SourceError::ParameterCount { given: 1, wanted: 0 }),
        (query("SELECT $1::int", &[]), SourceError::ParameterCount { given: 0, wanted: 1 }),
        (
            with("SELECT $1::bytea"),
            SourceError::Parameter { number: 1, problem: "is not the base64 of bytes" },
        ),
        (query("SELECT 1 AS a, point(1, 2)", &[]), SourceError::ColumnType(2)),
        (query("SELECT 1 AS a, 2 AS a", &[]), SourceError::ColumnName(2)),
        (query("  ", &[]), SourceError::NoStatement),
    ];
    for (query, expected) in cases {
        let sql = query.sql;
        assert_eq!(server.refusal(query).await, expected, "{sql}");
    }
    let error = refused_for("42P01", Reason::NoTable, Some(15));
    let text = "the database refused the query: a table in it does not exist (SQLSTATE 42P01, at character 15)";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn limits_hold() {
    let server = server();
    let rows = "SELECT g FROM generate_series(1, 10) g";
    let check = async |query: Query<'_>, expected: SourceError, code: StepErrorCode| {
        let sql = query.sql;
        let error = server.refusal(query).await;
        assert_eq!((&error, error.code()), (&expected, code), "{sql}");
    };
    let found = server.ask(Query { max_rows: 10, ..query(rows, &[]) }).await.unwrap();
    assert_eq!(found.row_count, 10);
    let large = StepErrorCode::OutputTooLarge;
    check(Query { max_rows: 9, ..query(rows, &[]) }, SourceError::TooManyRows(9), large).await;
    let wide = "SELECT repeat('x', 90) AS x";
    assert!(server.ask(Query { max_bytes: 100, ..query(wide, &[]) }).await.is_ok());
    check(Query { max_bytes: 98, ..query(wide, &[]) }, SourceError::TooLarge(98), large).await;
    // One value that is far larger than what may be in memory.
    let huge = "SELECT repeat('x', 50000000) AS x";
    check(Query { max_bytes: 1000, ..query(huge, &[]) }, SourceError::TooLarge(1000), large).await;
    let deadline = Instant::now() + Duration::from_millis(300);
    let slow = Query { deadline, ..query("SELECT pg_sleep(600)", &[]) };
    check(slow, SourceError::Timeout, StepErrorCode::Timeout).await;
}

#[tokio::test]
async fn the_way_there_is_as_safe_as_asked() {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let cases = [
        (TlsMode::Verify, true, "127.0.0.1", Ok(true)),
        (TlsMode::Verify, true, "localhost", Ok(true)),
        (TlsMode::Verify, false, "localhost", Err(SourceError::Tls(Failure::UnknownIssuer))),
        (TlsMode::Require, false, "localhost", Ok(true)),
        (TlsMode::Off, false, "localhost", Ok(false)),
    ];
    for (tls, with_ca, host, expected) in cases {
        let mut server = Server { tls, host: host.to_owned(), ..server() };
        if !with_ca {
            server.ca_pem = None;
        }
        let found = server.ask(query(sql, &[])).await;
        let found = found.map(|rows| rows.rows[0]["ssl"] == json!(true));
        assert_eq!(found, expected, "{tls:?} {host}");
    }
    let broken = Server { ca_pem: Some("no certificate".to_owned()), ..server() };
    assert_eq!(broken.refusal(query(sql, &[])).await, SourceError::Roots);
}

#[tokio::test]
async fn what_cannot_be_reached_or_signed_in_to() {
    let failed = StepErrorCode::ConnectionFailed;
    let check = async |server: Server, code: StepErrorCode, text: &str| {
        let error = server.refusal(query("SELECT 1", &[])).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    };
    let wrong = Server { password: secret(&canary("postgres-password")), ..server() };
    check(wrong, failed, "refused user and password").await;
    let nobody = Server { username: "nobody".to_owned(), ..server() };
    check(nobody, failed, "refused user and password").await;
    let nowhere = Server { database: "nowhere".to_owned(), ..server() };
    check(nowhere, failed, "no database of that name").await;
    let blocked = Server { egress: egress(""), ..server() };
    check(blocked, StepErrorCode::DestinationBlocked, "KEYWARD_EGRESS_ALLOW").await;
    let plain =
        Server { egress: egress(""), host: "db.example".to_owned(), tls: TlsMode::Off, ..server() };
    check(plain, StepErrorCode::DestinationBlocked, "without TLS").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    check(Server { port: closed, ..server() }, failed, "refused").await;
    let invalid = StepErrorCode::ValidationFailed;
    for host in ["", "a b", "db.example/path", "user@db.example"] {
        let server = Server { host: host.to_owned(), ..server() };
        check(server, invalid, "none that can be dialled").await;
    }
}

#[tokio::test]
async fn servers_that_misbehave() {
    let cases: [(&[u8], SourceError); 3] = [
        (b"N", SourceError::NoTls),
        (b"", SourceError::Broken),
        (b"SHTTP/1.1 400 Bad Request\r\n\r\n", SourceError::Broken),
    ];
    for (answer, expected) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 8]).await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        let error = Server { port, ..server() }.refusal(query("SELECT 1", &[])).await;
        let is_expected =
            error == expected || matches!((&error, answer), (SourceError::Tls(_), [b'S', ..]));
        assert!(is_expected, "{error:?}");
        assert_quiet(&error);
    }
}

#[tokio::test]
async fn connections_are_kept_for_their_own() {
    let server = server();
    let process = async |server: &Server| server.one("SELECT pg_backend_pid()", &[]).await;
    let first = process(&server).await;
    server.idle(1).await;
    // Nothing of one use is left for the next.
    server.change("SET application_name = 'changed'").await;
    server.idle(1).await;
    assert_eq!(server.one("SHOW application_name", &[]).await, json!("keyward"));
    server.idle(1).await;
    assert_eq!(process(&server).await, first);
    server.idle(1).await;

    let other = Server { key: PoolKey::new("other".to_owned()), ..server };
    let second = process(&other).await;
    assert_ne!(second, first);
    other.idle(2).await;
    // A connection that the server has closed is not noticed by whoever asks.
    let end = "SELECT pg_terminate_backend($1::int)";
    assert_eq!(other.one(end, std::slice::from_ref(&first)).await, json!(true));
    let server = Server { key: PoolKey::new("workspace".to_owned()), ..other };
    let third = process(&server).await;
    assert!(third != first && third != second);
    // Who has another password is not let in by who had the right one.
    let wrong = Server { password: secret(&canary("postgres-other")), ..server };
    wrong.idle(2).await;
    assert_eq!(wrong.refusal(query("SELECT 1", &[])).await, SourceError::SignIn);
    let server = Server { password: self::server().password, ..wrong };
    // A query that failed gives none back.
    server.idle(2).await;
    server.refusal(query("SELECT nothing", &[])).await;
    server.idle(1).await;
}

#[test]
fn bytes_of_another_shape_are_no_values() {
    use super::value::read;
    use tokio_postgres::types::Type;
    for kind in [Type::INT4, Type::NUMERIC, Type::INT4_ARRAY, Type::UUID, Type::INET, Type::JSONB] {
        assert_eq!(read(&kind, &[9, 2, 3]), None::<Value>, "{kind}");
    }
}
