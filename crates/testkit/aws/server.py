# AWS for tests: moto with signatures and policies checked, on 127.0.0.1. It prints {"port", "user", "caller", "role"}
# when it is ready and ends with its standard input. Each line of that is a JSON array, and is answered with a line:
# [SERVICE, METHOD, ARGUMENTS] calls boto3 as an administrator ({"base64": TEXT} stands for bytes); ["fail", FAULT...]
# queues {"status", "headers", "body", "delay"} for the next requests; ["requests"] lists what arrived.
# Before moto looks at a request, this checks what moto does not: that it is signed, when, for which service and region,
# and the hash of its body. Refusals in JSON are as AWS writes them, where moto writes XML.
import base64, hashlib, json, logging, os, re, sys, threading, time, urllib.request
from datetime import datetime, timezone
from io import BytesIO

os.environ.update(MOTO_ENABLE_ISO_REGIONS="0", AWS_EC2_METADATA_DISABLED="true")
import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

REGION = "eu-west-1"
FORM = "application/x-www-form-urlencoded"
SCOPE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
)
JSON_CODES = {
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "InvalidAccessKeyId": "UnrecognizedClientException",
    "AccessDenied": "AccessDeniedException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
}
OWN = "/moto-api/"
moto = DomainDispatcherApplication(create_backend_app)
arrived, faults, own_keys, lock = [], [], {"set-up"}, threading.Lock()


def refusal(environ, status, code, message):
    """A refusal as the service that was asked writes it."""
    if environ.get("HTTP_X_AMZ_TARGET"):
        body = json.dumps({"__type": JSON_CODES.get(code, code), "message": message})
        return 400, {"Content-Type": "application/x-amz-json-1.1"}, body.encode()
    body = f"<Code>{code}</Code><Message>{message}</Message>"
    form = environ["CONTENT_TYPE"].startswith(FORM)
    body = f"<ErrorResponse><Error><Type>Sender</Type>{body}</Error></ErrorResponse>" if form else f"<Error>{body}</Error>"
    return status, {"Content-Type": "text/xml"}, body.encode()


def service_of(environ, body):
    """Which service a request is for; S3 where nothing else is said."""
    if environ.get("HTTP_X_AMZ_TARGET", "").startswith("secretsmanager."):
        return "secretsmanager"
    return "sts" if b"Version=2011-06-15" in body + environ["QUERY_STRING"].encode() else "s3"


def wrong(environ, body):
    """What moto would let pass: a status, a code and a message; none where all is well."""
    scope = SCOPE.match(environ.get("HTTP_AUTHORIZATION", ""))
    if not scope:
        return 403, "MissingAuthenticationToken", "Missing Authentication Token"
    service = service_of(environ, body)
    if (scope["service"], scope["region"]) != (service, REGION):
        return 403, "SignatureDoesNotMatch", f"Credential should be scoped to {service} in {REGION}."
    try:
        signed = datetime.strptime(environ.get("HTTP_X_AMZ_DATE", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return 403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
    if abs(time.time() - signed.timestamp()) > 300 or scope["day"] != signed.strftime("%Y%m%d"):
        return 403, "SignatureDoesNotMatch", "Signature not yet current or expired"
    stated = environ.get("HTTP_X_AMZ_CONTENT_SHA256")
    if service == "s3" and not stated:
        return 400, "MissingSecurityHeader", "Your request was missing a required header: x-amz-content-sha256"
    plain = stated and not stated.startswith(("UNSIGNED-PAYLOAD", "STREAMING-"))
    if plain and stated != hashlib.sha256(body).hexdigest():
        return 400, "XAmzContentSHA256Mismatch", "The x-amz-content-sha256 header does not match what was computed."
    return None


def kept(environ, body):
    """Remembers a request of the program under test; gives the fault that was queued for it."""
    scope = SCOPE.match(environ.get("HTTP_AUTHORIZATION", ""))
    key = scope["key"] if scope else None
    if key in own_keys:
        return None
    service, action = service_of(environ, body), re.search(rb"Action=(\w+)", body)
    if service == "s3":
        action = f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']}"
    else:
        action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2] or (action[1].decode() if action else "")
    with lock:
        arrived.append({"service": service, "action": action, "key": key, "body": body.decode("utf-8", "replace")})
        return faults.pop(0) if faults else None


def application(environ, start_response):
    def answer(status, headers, body):
        start_response(f"{status} Answer", [*headers.items(), ("Content-Length", str(len(body)))])
        return [body]

    if environ["PATH_INFO"].startswith(OWN):
        return moto(environ, start_response)
    environ.setdefault("CONTENT_TYPE", "")
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    fault = kept(environ, body)
    if fault:
        time.sleep(fault.get("delay", 0))
        if fault.get("status"):
            return answer(fault["status"], fault.get("headers", {}), fault.get("body", "").encode())
    problem = wrong(environ, body) if checks else None
    if problem:
        return answer(*refusal(environ, *problem))
    if not environ.get("HTTP_X_AMZ_TARGET"):
        return moto(environ, start_response)
    begun = []
    text = b"".join(moto(environ, lambda status, headers, error=None: begun.append((status, headers))))
    status, headers = begun[-1]
    found = re.search(rb"<Code>(\w+)</Code>\s*<Message>(.*?)</Message>", text, re.DOTALL)
    if status.startswith("403") and found:
        return answer(*refusal(environ, 403, found[1].decode(), found[2].decode()))
    # Of a missing secret moto says 404, AWS 400.
    start_response("400 Answer" if status.startswith("404") else status, headers)
    return [text]


checks = False
logging.getLogger("werkzeug").disabled = True
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
url = f"http://127.0.0.1:{server.server_address[1]}"
threading.Thread(target=server.serve_forever, daemon=True).start()


def client(service, key="set-up", secret="set-up"):
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    return boto3.client(service, endpoint_url=url, region_name=REGION, **keys)


def policy(actions, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, **more}]})


def user(name, actions):
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(actions, Resource="*"))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


iam = client("iam")
read = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:ListAllMyBuckets"]
administrator = user("administrator", ["*"])
plain = user("keyward", [*read, *objects, "sts:GetCallerIdentity"])
caller = user("caller", ["sts:AssumeRole", "sts:GetCallerIdentity"])
trust = policy("sts:AssumeRole", Principal={"AWS": "*"})
role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=policy([*read, *objects], Resource="*"))
own_keys.add(administrator["id"])
checks = True
# From here on moto checks signatures and policies, too.
reset = urllib.request.Request(f"{url}{OWN}reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
urllib.request.urlopen(reset).read()


def bytes_in(value):
    if isinstance(value, dict) and value.keys() == {"base64"}:
        return base64.b64decode(value["base64"])
    return {name: bytes_in(item) for name, item in value.items()} if isinstance(value, dict) else value


def done(line):
    service, *rest = json.loads(line)
    if service == "requests":
        with lock:
            return list(arrived)
    if service == "fail":
        with lock:
            return faults.extend(rest)
    method, arguments = rest
    caller = client(service, administrator["id"], administrator["secret"])
    result = getattr(caller, method)(**bytes_in(arguments))
    result.pop("ResponseMetadata", None)
    return result


def say(value):
    print(json.dumps(value, default=str), flush=True)


say({"port": server.server_address[1], "user": plain, "caller": caller, "role": role})
for line in sys.stdin:
    try:
        say({"done": done(line)})
    except Exception as error:
        say({"error": str(error)})
os._exit(0)
