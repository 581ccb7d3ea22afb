//! AWS Signature Version 4: the headers that prove a request to come from the holder of an access key.
//! The algorithm is AWS's "Create a signed AWS API request" (IAM User Guide, reference_sigv-create-signed-request).

use crate::bytes::sha256;
use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use http::HeaderName;
use http::header::{AUTHORIZATION, HOST};
use keyward_model::clock::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// AWS's UriEncode: all but letters, digits and these four becomes `%XX`.
const PARAMETER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in a path, whose slashes stay.
const PATH: &AsciiSet = &PARAMETER.remove(b'/');

/// An access key, from a credential's fields or from a role that was assumed.
pub(crate) struct Credentials<'a> {
    pub(crate) access_key_id: &'a [u8],
    pub(crate) secret_access_key: &'a [u8],
    /// Only with temporary keys.
    pub(crate) session_token: Option<&'a [u8]>,
}

/// A request as it leaves.
pub(crate) struct Signing<'a> {
    pub(crate) method: &'a str,
    /// As in the `Host` header, with the port where that has one.
    pub(crate) host: &'a str,
    /// As in the request line. A service reads `+` in a query as a space or as a plus; `%20` and
    /// `%2B` are safe.
    pub(crate) path_and_query: &'a str,
    /// Headers to be signed. `host`, and those that [`sign`] gives, are left out: they are replaced.
    pub(crate) headers: &'a [(String, Zeroizing<Vec<u8>>)],
    pub(crate) body: &'a [u8],
    /// The name that the service signs under, such as `s3` or `secretsmanager`.
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    /// Services accept a difference of some minutes to their own clock.
    pub(crate) now: Timestamp,
}

/// A header with its value.
type Header = (HeaderName, Zeroizing<Vec<u8>>);

/// The headers to send beside those that are there, in place of any of the same name:
/// `x-amz-content-sha256`, `x-amz-date`, with temporary keys `x-amz-security-token`, `authorization`.
pub(crate) fn sign(credentials: &Credentials<'_>, signing: &Signing<'_>) -> Vec<Header> {
    let header = |name, value: &[u8]| (HeaderName::from_static(name), value.to_vec().into());
    let payload = HEXLOWER.encode(&sha256(signing.body));
    let mut added: Vec<Header> = vec![
        header("x-amz-content-sha256", payload.as_bytes()),
        header("x-amz-date", instant(signing.now).as_bytes()),
    ];
    added.extend(credentials.session_token.map(|token| header("x-amz-security-token", token)));
    let authorization = authorization(credentials, signing, &added, &payload);
    added.push((AUTHORIZATION, authorization));
    added
}

/// `20150830T123600Z`.
fn instant(now: Timestamp) -> String {
    let text = now.to_string();
    let (seconds, _) = text.split_once('.').unwrap_or((&text, ""));
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

/// The value of `authorization`; `payload` is the body's hash.
fn authorization(
    credentials: &Credentials<'_>,
    signing: &Signing<'_>,
    added: &[Header],
    payload: &str,
) -> Zeroizing<Vec<u8>> {
    let Signing { service, region, .. } = *signing;
    let instant = instant(signing.now);
    let date = instant.get(..8).unwrap_or_default();
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let headers = canonical_headers(signing, added);
    let signed = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let request = hash_request(signing, &headers, &signed, payload);
    let to_sign = format!("AWS4-HMAC-SHA256\n{instant}\n{scope}\n{}", HEXLOWER.encode(&request));
    let key = signing_key(credentials.secret_access_key, [date, region, service]);
    let signature = HEXLOWER.encode(&*mac(&*key, to_sign.as_bytes()));
    let parts: [&[u8]; 8] = [
        b"AWS4-HMAC-SHA256 Credential=",
        credentials.access_key_id,
        b"/",
        scope.as_bytes(),
        b", SignedHeaders=",
        signed.as_bytes(),
        b", Signature=",
        signature.as_bytes(),
    ];
    parts.concat().into()
}

/// The key of one day, region and service.
fn signing_key(secret: &[u8], scope: [&str; 3]) -> Zeroizing<[u8; 32]> {
    let [date, region, service] = scope.map(str::as_bytes);
    let first = Zeroizing::new([b"AWS4", secret].concat());
    let day = mac(&first, date);
    mac(&*mac(&*mac(&*day, region), service), b"aws4_request")
}

fn mac(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    // The buffer has the length of the tag, the one thing that could be wrong.
    let done = hmac::sign_to_buffer(&key, message, &mut *out);
    debug_assert!(done.is_ok());
    out
}

/// The values to sign under each name in lower case, in the order in which they are sent.
fn canonical_headers<'a>(
    signing: &'a Signing<'_>,
    added: &'a [Header],
) -> BTreeMap<String, Vec<&'a [u8]>> {
    let replaced = |name: &str| {
        [HOST, AUTHORIZATION].iter().chain(added.iter().map(|(name, _)| name)).any(|n| n == name)
    };
    let own = signing.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let own = own.filter(|(name, _)| !replaced(name));
    let added = added.iter().map(|(name, value)| (name.to_string(), value));
    let mut lines = BTreeMap::from([(HOST.to_string(), vec![signing.host.as_bytes()])]);
    for (name, value) in own.chain(added) {
        lines.entry(name).or_default().push(value);
    }
    lines
}

/// The hash of the canonical request, which holds secrets and is therefore never put together.
fn hash_request(
    signing: &Signing<'_>,
    headers: &BTreeMap<String, Vec<&[u8]>>,
    signed: &str,
    payload: &str,
) -> [u8; 32] {
    let (path, query) =
        signing.path_and_query.split_once('?').unwrap_or((signing.path_and_query, ""));
    let path = canonical_path(path, signing.service);
    let query = canonical_query(query);
    let mut hash = digest::Context::new(&digest::SHA256);
    for line in [signing.method, &path, &query] {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    for (name, values) in headers {
        hash.update(name.as_bytes());
        for (at, value) in values.iter().enumerate() {
            hash.update(if at == 0 { b":" } else { b"," });
            update_trimmed(&mut hash, value);
        }
        hash.update(b"\n");
    }
    for text in ["\n", signed, "\n", payload] {
        hash.update(text.as_bytes());
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// A header's value without space around it, and with one space for several in it.
fn update_trimmed(hash: &mut digest::Context, value: &[u8]) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        hash.update(if at == 0 { b"" } else { b" " });
        hash.update(word);
    }
}

/// The path: of S3 the object's key, encoded once; of all others without dots and empty segments,
/// and encoded once more than it is sent.
fn canonical_path(path: &str, service: &str) -> Zeroizing<String> {
    if matches!(service, "s3" | "s3express" | "s3-outposts" | "s3-object-lambda") {
        let path = if path.is_empty() { "/" } else { path };
        return encode_anew(path.as_bytes(), PATH);
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let parts = kept.iter().flat_map(|segment| ["/", segment]);
    let end = (kept.is_empty() || path.ends_with('/')).then_some("/");
    let normal = Zeroizing::new(parts.chain(end).collect::<Vec<_>>().concat());
    encode(normal.as_bytes(), PATH)
}

/// The query's parameters, encoded anew and sorted by name and then by value.
fn canonical_query(query: &str) -> Zeroizing<String> {
    let anew = |part: &str| {
        let spaced = part.bytes().map(|byte| if byte == b'+' { b' ' } else { byte });
        encode_anew(&Zeroizing::new(spaced.collect::<Vec<_>>()), PARAMETER)
    };
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (anew(name), anew(value)))
        .collect();
    pairs.sort_unstable_by(|a, b| (&*a.0, &*a.1).cmp(&(&*b.0, &*b.1)));
    let parts = pairs.iter().enumerate().flat_map(|(at, (name, value))| {
        [if at == 0 { "" } else { "&" }, name.as_str(), "=", value.as_str()]
    });
    Zeroizing::new(parts.collect::<Vec<_>>().concat())
}

/// Encoded once, whatever of it was encoded before.
fn encode_anew(text: &[u8], set: &'static AsciiSet) -> Zeroizing<String> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    decoded.extend(percent_decode(text));
    encode(&decoded, set)
}

fn encode(bytes: &[u8], set: &'static AsciiSet) -> Zeroizing<String> {
    // Room for every byte as `%XX`: a text that grew would leave copies of itself behind.
    let mut out = Zeroizing::new(String::with_capacity(bytes.len() * 3));
    out.extend(percent_encode(bytes, set));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    const STS_TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWs\
        KWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8p\
        hUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u\
        0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    type Headers = Vec<(String, Zeroizing<Vec<u8>>)>;

    fn headers(texts: &[(&str, &str)]) -> Headers {
        let header =
            |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec().into());
        texts.iter().map(header).collect()
    }

    /// The key of AWS's test suite.
    fn credentials(token: Option<&str>) -> Credentials<'_> {
        Credentials {
            access_key_id: b"AKIDEXAMPLE",
            secret_access_key: b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            session_token: token.map(str::as_bytes),
        }
    }

    /// A request of AWS's test suite.
    fn request<'a>(method: &'a str, path_and_query: &'a str, headers: &'a Headers) -> Signing<'a> {
        Signing {
            method,
            host: "example.amazonaws.com",
            path_and_query,
            headers,
            body: b"",
            service: "service",
            region: "us-east-1",
            now: Timestamp::parse("2015-08-30T12:36:00.999Z").unwrap(),
        }
    }

    fn text(value: &[u8]) -> String {
        String::from_utf8(value.to_vec()).unwrap()
    }

    /// What `authorization` says where the body's hash is no header, as in most of the suite.
    #[track_caller]
    fn check(case: &str, token: Option<&str>, signing: &Signing<'_>, names: &str, signature: &str) {
        let mut added = sign(&credentials(token), signing);
        added.retain(|(name, _)| name != "x-amz-content-sha256" && name != AUTHORIZATION);
        let payload = HEXLOWER.encode(&sha256(signing.body));
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={names}, Signature={signature}"
        );
        let found = authorization(&credentials(token), signing, &added, &payload);
        assert_eq!(text(&found), expected, "{case}");
    }

    // Names and signatures of the next three tests are those of AWS's `aws-sig-v4-test-suite`.

    /// Signature, case, method and path.
    const SUITE: &str = "\
5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31 get-vanilla GET /
b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500 get-vanilla-query-order-key-case GET /?Param2=value2&Param1=value1
371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac get-vanilla-query-order-encoded GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1
9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197 get-vanilla-query-unreserved GET /?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz
2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04 get-vanilla-utf8-query GET /?ሴ=bar
a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb get-vanilla-empty-query-key GET /?Param1=value1
07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f get-unreserved GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz
8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85 get-utf8 GET /ሴ
652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741 get-space-normalized GET /example space/
5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31 get-slash-normalized GET //
9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84 get-slashes-normalized GET //example//
5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31 get-slash-dot-slash-normalized GET /./
ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5 get-slash-pointless-dot-normalized GET /./example
5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31 get-relative-normalized GET /example/..
5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31 get-relative-relative-normalized GET /example1/example2/../..
5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b post-vanilla POST /
28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11 post-vanilla-empty-query-value POST /?Param1=value1";

    #[test]
    fn paths_and_queries_of_the_suite() {
        for line in SUITE.lines() {
            let [signature, case, method, path] =
                line.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
            let (none, names) = (Headers::new(), "host;x-amz-date");
            check(case, None, &request(method, path, &none), names, signature);
        }
    }

    #[test]
    fn headers_of_the_suite() {
        let check =
            |case: &str, method: &str, sent: &[(&str, &str)], names: &str, signature: &str| {
                check(case, None, &request(method, "/", &headers(sent)), names, signature);
            };
        check(
            "get-header-key-duplicate",
            "GET",
            &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
            "host;my-header1;x-amz-date",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        );
        check(
            "get-header-value-order",
            "GET",
            &[
                ("My-Header1", "value4"),
                ("My-Header1", "value1"),
                ("My-Header1", "value3"),
                ("My-Header1", "value2"),
            ],
            "host;my-header1;x-amz-date",
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        );
        check(
            "get-header-value-trim",
            "GET",
            &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        );
        check(
            "get-header-value-multiline",
            "GET",
            &[("My-Header1", "value1\n  value2\n     value3")],
            "host;my-header1;x-amz-date",
            "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd",
        );
        check(
            "post-header-key-case",
            "POST",
            &[],
            "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        );
        check(
            "post-header-key-sort",
            "POST",
            &[("My-Header1", "value1")],
            "host;my-header1;x-amz-date",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        );
        check(
            "post-header-value-case",
            "POST",
            &[("My-Header1", "VALUE1")],
            "host;my-header1;x-amz-date",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        );
    }

    #[test]
    fn session_tokens_of_the_suite() {
        let check = |case: &str, method: &str, token: &str, signature: &str| {
            let (none, names) = (Headers::new(), "host;x-amz-date;x-amz-security-token");
            check(case, Some(token), &request(method, "/", &none), names, signature);
        };
        check(
            "get-vanilla-with-session-token",
            "GET",
            TOKEN,
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        );
        check(
            "post-sts-header-before",
            "POST",
            STS_TOKEN,
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        );
    }

    fn added(credentials: &Credentials<'_>, signing: &Signing<'_>) -> Vec<(String, String)> {
        let added = sign(credentials, signing);
        added.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[track_caller]
    fn check_body(case: &str, content_type: &str, signature: &str) {
        // What stands where headers will be put is not signed beside them.
        let sent = headers(&[
            ("Content-Type", content_type),
            ("Content-Length", "13"),
            ("Host", "other.example.com"),
            ("X-Amz-Date", "20000101T000000Z"),
            ("x-amz-content-sha256", "stale"),
            ("Authorization", "stale"),
        ]);
        let signing = Signing { body: b"Param1=value1", ..request("POST", "/", &sent) };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=content-length;content-type;host;x-amz-content-sha256;x-amz-date, \
             Signature={signature}"
        );
        let hash = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
        let expected = [
            ("x-amz-content-sha256", hash),
            ("x-amz-date", "20150830T123600Z"),
            ("authorization", &authorization),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(added(&credentials(None), &signing), expected, "{case}");
    }

    #[test]
    fn bodies_of_the_suite() {
        check_body(
            "post-x-www-form-urlencoded",
            "application/x-www-form-urlencoded",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        );
        check_body(
            "post-x-www-form-urlencoded-parameters",
            "application/x-www-form-urlencoded; charset=utf-8",
            "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
        );
    }

    #[test]
    fn a_session_token_is_sent_and_signed() {
        let given = added(&credentials(Some("token")), &request("GET", "/", &Headers::new()));
        assert_eq!(given[2], ("x-amz-security-token".to_owned(), "token".to_owned()));
        assert!(given[3].1.contains(";x-amz-security-token, "), "{given:?}");
    }

    /// The examples of "Authenticating Requests: Using the Authorization Header" in the S3 API reference.
    #[test]
    fn examples_of_s3() {
        let check =
            |method: &str, path: &str, sent: &[(&str, &str)], body: &[u8], signature: &str| {
                let credentials = Credentials {
                    access_key_id: b"AKIAIOSFODNN7EXAMPLE",
                    secret_access_key: b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                    session_token: None,
                };
                let sent = headers(sent);
                let signing = Signing {
                    host: "examplebucket.s3.amazonaws.com",
                    body,
                    service: "s3",
                    now: Timestamp::parse("2013-05-24T00:00:00Z").unwrap(),
                    ..request(method, path, &sent)
                };
                let given = added(&credentials, &signing);
                assert_eq!(given[2].1.rsplit('=').next(), Some(signature), "{method} {path}");
            };
        let get = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        check("GET", "/test.txt", &[("Range", "bytes=0-9")], b"", get);
        let put = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        let sent = [
            ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        for path in ["/test%24file.text", "/test$file.text"] {
            check("PUT", path, &sent, b"Welcome to Amazon S3.", put);
        }
        let lifecycle = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        check("GET", "/?lifecycle", &[], b"", lifecycle);
        let list = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        check("GET", "/?prefix=J&max-keys=2", &[], b"", list);
    }

    #[test]
    fn paths_are_encoded_as_their_service_wants() {
        let check = |path: &str, s3: &str, other: &str| {
            assert_eq!(*canonical_path(path, "s3"), s3, "{path}");
            assert_eq!(*canonical_path(path, "secretsmanager"), other, "{path}");
        };
        check("", "/", "/");
        check("/a%20b", "/a%20b", "/a%2520b");
        check("/a+b:c@d", "/a%2Bb%3Ac%40d", "/a%2Bb%3Ac%40d");
        check("/%e1%88%b4", "/%E1%88%B4", "/%25e1%2588%25b4");
        check("/a//b/./../c/", "/a//b/./../c/", "/a/c/");
        check("/../..", "/../..", "/");
        check("/100%", "/100%25", "/100%25");
    }

    #[test]
    fn queries_are_sorted_as_they_are_encoded() {
        let check = |query: &str, expected: &str| {
            assert_eq!(*canonical_query(query), expected, "{query}");
        };
        check("", "");
        check("b=2&a=2&a=1&&a", "a=&a=1&a=2&b=2");
        check("a-b=1&a=2", "a=2&a-b=1");
        check("x=a+b%20c%2Bd", "x=a%20b%20c%2Bd");
        check("x=/p?q=r&%7e=~", "x=%2Fp%3Fq%3Dr&~=~");
    }

    #[test]
    fn a_key_is_derived_for_day_region_and_service() {
        // The example of "Deriving the signing key" in AWS's General Reference.
        let secret = credentials(None).secret_access_key;
        let key = signing_key(secret, ["20150830", "us-east-1", "iam"]);
        let expected = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(HEXLOWER.encode(&*key), expected);
    }
}
