//! The server refuses what AWS refuses, and gives boto3 what AWS gives.

use super::*;
use crate::call::call;

/// A client in Python: reads `[url, region, [id, secret, token], service, method, arguments]` and
/// prints the answer, or the code and status of the refusal.
const CLIENT: &str = r#"
import boto3, botocore, json, sys
url, region, (key, secret, token), service, method, arguments = json.loads(sys.argv[1])
once = botocore.config.Config(retries={"total_max_attempts": 1})
client = boto3.client(service, endpoint_url=url, region_name=region, aws_access_key_id=key,
                      aws_secret_access_key=secret, aws_session_token=token, config=once)
try:
    answer = getattr(client, method)(**arguments)
    answer["Body"] = answer["Body"].read().decode() if "Body" in answer else None
    print(json.dumps(answer, default=lambda value: value.hex() if isinstance(value, bytes) else str(value)))
except botocore.exceptions.ClientError as error:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    print(json.dumps([error.response["Error"]["Code"], status]))
"#;

/// Who signs: key id, secret and session token, if any; and for which region.
type Signer<'a> = (&'a str, &'a str, Option<&'a str>, &'a str);

fn ask(aws: &Aws, signer: Signer<'_>, service: &str, method: &str, arguments: &Value) -> Value {
    let (id, secret, token, region) = signer;
    let told = json!([aws.url(), region, [id, secret, token], service, method, arguments]);
    let python = python::venv("aws", &PACKAGES).join("bin/python");
    let output = Command::new(python)
        .args(["-c", CLIENT, &told.to_string()])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stderr(Stdio::inherit())
        .output()
        .expect("Python starts");
    serde_json::from_slice(&output.stdout).expect("the client's answer")
}

#[test]
fn secrets_are_for_those_whose_signature_is_right() {
    let aws = Aws::start();
    let arn = aws.create_secret("app/a", "one");
    aws.change_secret("app/a", "two");
    aws.create_binary_secret("app/b", "AAH/");
    let (user, caller) = (aws.user.clone(), aws.caller.clone());
    let signer = (user.id.as_str(), user.secret.as_str(), None, REGION);
    let get = |signer: Signer<'_>, arguments: Value| {
        ask(&aws, signer, "secretsmanager", "get_secret_value", &arguments)
    };
    assert_eq!(get(signer, json!({ "SecretId": arn }))["SecretString"], "two");
    let previous = json!({ "SecretId": "app/a", "VersionStage": "AWSPREVIOUS" });
    assert_eq!(get(signer, previous)["SecretString"], "one");
    assert_eq!(get(signer, json!({ "SecretId": "app/b" }))["SecretBinary"], "0001ff");

    let check = |signer: Signer<'_>, secret: &str, code: &str| {
        assert_eq!(get(signer, json!({ "SecretId": secret })), json!([code, 400]), "{signer:?}");
    };
    check(signer, "app/none", "ResourceNotFoundException");
    check((&user.id, &caller.secret, None, REGION), "app/a", "InvalidSignatureException");
    check((&user.id, &user.secret, None, "us-east-1"), "app/a", "InvalidSignatureException");
    check(("AKIANOBODY", &user.secret, None, REGION), "app/a", "UnrecognizedClientException");
    check((&caller.id, &caller.secret, None, REGION), "app/a", "AccessDeniedException");
    let target = [("X-Amz-Target", "secretsmanager.GetSecretValue")];
    let address = ([127, 0, 0, 1], aws.port).into();
    let unsigned = call(address, "POST", "/", &target, "{}").expect("an answer");
    assert!(unsigned.status == 400 && unsigned.body.contains("MissingAuthenticationToken"));

    aws.queue(&Fault::throttled());
    check(signer, "app/a", "ThrottlingException");
    assert_eq!(get(signer, json!({ "SecretId": "app/a" }))["SecretString"], "two");
    let requests = aws.requests();
    assert_eq!(requests.len(), 11, "{requests:?}");
    assert!(requests.iter().all(|request| request.action == "GetSecretValue"));
    assert_eq!(requests[0].key, Some(user.id));
    assert_eq!(requests[8].key, None, "{requests:?}");
}

#[test]
fn a_role_is_assumed_and_objects_are_kept() {
    let aws = Aws::start();
    aws.create_secret("app/a", "one");
    aws.create_bucket("things");
    let caller = (aws.caller.id.as_str(), aws.caller.secret.as_str(), None, REGION);
    let wanted = json!({ "RoleArn": aws.role, "RoleSessionName": "keyward" });
    let assumed = ask(&aws, caller, "sts", "assume_role", &wanted);
    let text = |name: &str| assumed["Credentials"][name].as_str().expect("a text");
    let token = text("SessionToken");
    let role = (text("AccessKeyId"), text("SecretAccessKey"), Some(token), REGION);
    let secret = json!({ "SecretId": "app/a" });
    let got = ask(&aws, role, "secretsmanager", "get_secret_value", &secret);
    assert_eq!(got["SecretString"], "one");
    let without = (role.0, role.1, None, REGION);
    let refused = ask(&aws, without, "secretsmanager", "get_secret_value", &secret);
    assert_eq!(refused, json!(["UnrecognizedClientException", 400]));

    let object = |name: &str| json!({ "Bucket": "things", "Key": name });
    let put = json!({ "Bucket": "things", "Key": "a b/é.txt", "Body": "hello" });
    assert!(ask(&aws, role, "s3", "put_object", &put)["ETag"].is_string());
    assert_eq!(ask(&aws, role, "s3", "get_object", &object("a b/é.txt"))["Body"], "hello");
    assert_eq!(ask(&aws, role, "s3", "get_object", &object("none")), json!(["NoSuchKey", 404]));
    assert_eq!(
        ask(&aws, caller, "s3", "get_object", &object("a b/é.txt")),
        json!(["AccessDenied", 403])
    );
    let actions: Vec<_> = aws.requests().into_iter().map(|request| request.action).collect();
    assert_eq!(actions[0], "AssumeRole");
    assert_eq!(actions[3..5], ["PUT /things/a%20b/%C3%A9.txt", "GET /things/a%20b/%C3%A9.txt"]);
}

#[test]
fn it_ends_with_its_input() {
    let mut aws = Aws::start();
    let pipes = aws.pipes.get_mut().unwrap_or_else(PoisonError::into_inner);
    let taken = Command::new("true").stdin(Stdio::piped()).spawn().expect("a program").stdin.take();
    drop(std::mem::replace(&mut pipes.0, taken.expect("its input")));
    assert!(aws.child.wait().expect("its end").success());
}
