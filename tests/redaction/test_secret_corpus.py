"""Detections and false alarms over texts as they really are: output, settings, manifests, command lines, logs, metrics.

Secrets are made here, from a fixed seed, so that none stands in a file. Both rates are in docs/exec.md.
"""

import base64
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from telemetry_cli.redaction.redactor import Redactor

ALNUM, HEX, DIGITS = string.ascii_letters + string.digits, "0123456789abcdef", string.digits
UPPER = string.ascii_uppercase + string.digits
#: So many of each form, with another secret each time.
EACH = 5

chance = random.Random(14)


def some(length: int, alphabet: str = ALNUM) -> str:
    return "".join(chance.choice(alphabet) for _ in range(length))


def password() -> str:
    """A password with a digit among its letters, as rules for passwords demand."""
    return some(5) + some(2, DIGITS) + some(5)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def pem(kind: str) -> str:
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{some(64)}\n{some(64)}\n-----END {kind}PRIVATE KEY-----"


#: Form → (the secret, the text around it).
FORMS: dict[str, tuple[Callable[[], str], str]] = {
    # Tokens without a name before them.
    "GitHub": (lambda: "gh" + "p_" + some(36), "fatal: bad credentials {} for"),
    "GitHub, fine-grained": (lambda: "github_" + f"pat_{some(22)}_{some(59)}", "using {}"),
    "GitLab": (lambda: "gl" + "pat-" + some(20), "remote: {} denied"),
    "GitLab, routable": (lambda: "gl" + f"pat-{some(27)}.01.{some(9, HEX)}", "remote: {} denied"),
    "Slack bot": (lambda: "xo" + f"xb-{some(12, DIGITS)}-{some(13, DIGITS)}-{some(24)}", "slack: {}"),
    "Slack session": (lambda: "xo" + f"xc-{some(12, DIGITS)}-{some(13, DIGITS)}-{some(64, HEX)}", "slack: {}"),
    "Slack cookie": (lambda: "xo" + f"xd-{some(60)}%2B{some(60)}%3D%3D", "d={}"),
    "OpenAI": (lambda: "s" + f"k-proj-{some(74)}T3BlbkFJ{some(74)}", "Incorrect key provided: {}."),
    "Anthropic": (lambda: "s" + f"k-ant-api03-{some(93)}AA", "invalid x-api-key {}"),
    "Groq": (lambda: "gs" + "k_" + some(52), "Invalid key: {}."),
    "xAI": (lambda: "xa" + "i-" + some(80), "Invalid key: {}."),
    "NVIDIA": (lambda: "nv" + "api-" + some(64), "Invalid key: {}."),
    "Perplexity": (lambda: "pp" + "lx-" + some(48), "Invalid key: {}."),
    "Hugging Face": (lambda: "h" + "f_" + some(34), "401 for {}"),
    "Replicate": (lambda: "r" + "8_" + some(37), "401 for {}"),
    "LangSmith": (lambda: "ls" + f"v2_pt_{some(32, HEX)}_{some(10, HEX)}", "401 for {}"),
    "Amazon": (lambda: "AK" + "IA" + some(16, UPPER[:26] + "234567"), "access key {} is not valid"),
    "Google": (lambda: "AI" + "za" + some(35), "GET /maps?{}"),
    "Google, client": (lambda: "GOC" + "SPX-" + some(28), "client {}"),
    "Google, refresh": (lambda: "1" + "//0" + some(60), "refresh {}"),
    "DigitalOcean": (lambda: "do" + "p_v1_" + some(64, HEX), "doctl: {}"),
    "Databricks": (lambda: "da" + "pi" + some(32, HEX), "host {}"),
    "Vault": (lambda: "hv" + "s." + some(90), "vault login {}"),
    "npm": (lambda: "np" + "m_" + some(36), "publish with {}"),
    "PyPI": (lambda: "py" + "pi-AgEIcHlwaS5vcmc" + some(120), "twine: {}"),
    "Docker": (lambda: "dc" + "kr_pat_" + some(27), "login {}"),
    "Stripe": (lambda: "sk" + "_live_" + some(24), "charge with {}"),
    "SendGrid": (lambda: "S" + f"G.{some(22)}.{some(43)}", "mail: {}"),
    "Telegram": (lambda: f"{some(9, '123456789')}:" + "AA" + some(33), "bot {}"),
    "Fly": (lambda: "fo" + "1_" + some(43), "fly: {}"),
    "Netlify": (lambda: "nf" + "p_" + some(40), "netlify: {}"),
    "Sonar": (lambda: "sq" + "u_" + some(40, HEX), "sonar: {}"),
    "Figma": (lambda: "fi" + "gd_" + some(40), "figma: {}"),
    "JWT": (lambda: f"eyJ{some(20)}.eyJ{some(60)}.{some(43)}", "id {}"),
    # Keys.
    "PEM": (lambda: pem(""), "{}"),
    "PEM, RSA, in one line": (lambda: pem("RSA ").replace("\n", "\\n"), 'key: "{}"'),
    "PEM in base64": (lambda: encoded(pem("EC ")), "tls.key: {}"),
    "PuTTY": (lambda: some(64) + "\n" + some(64), "Private-Lines: 2\n{}\nPrivate-MAC: 0"),
    # Settings.
    "docker config.json": (lambda: encoded("bob:" + password()), '{{\n  "auths": {{\n    "ghcr.io": {{\n      "auth": "{}"\n    }}\n  }}\n}}'),
    "docker config in a variable": (lambda: encoded("bob:" + password()), 'DOCKER_AUTH_CONFIG={{"auths":{{"h":{{"auth":"{}"}}}}}}'),
    "npmrc token": (password, "//registry.example.org/:_authToken={}"),
    "npmrc login": (lambda: encoded("bob:" + password()), "//registry.example.org/:_auth={}"),
    "kubeconfig token": (lambda: some(40), "users:\n- name: ada\n  user:\n    token: {}\n"),
    "kubeconfig key": (lambda: encoded(pem("RSA ")), "    client-key-data: {}\n"),
    "YAML password": (password, "db:\n  password: {}\n"),
    "YAML _pass": (password, "ansible_become_pass: {}\n"),
    "YAML block": (password, "client_secret: |\n  {}\nnext: 1\n"),
    "YAML name and value": (password, "env:\n- name: DB_PASSWORD\n  value: {}\n"),
    "JSON name and value": (password, '{{"env": [{{"name": "DB_PASSWORD", "value": "{}"}}]}}'),
    "ECS name and value": (password, '{{"environment":[{{"Name":"API_TOKEN","Value":"{}"}}]}}'),
    "GitLab key and value": (password, '[{{"key": "NPM_TOKEN", "value": "{}", "masked": true}}]'),
    "dotenv": (password, "DATABASE_PASSWORD='{}'\n"),
    "SSHPASS": (password, "SSHPASS={} rsync a b"),
    "INI": (password, "[db]\npassword = {}\n"),
    "XML": (password, "<server><password>{}</password></server>"),
    "PHP": (password, "'password' => '{}',"),
    "netrc": (password, "machine h login ada password {}"),
    "properties": (password, "spring.datasource.password={}"),
    # Commands and URLs.
    "option": (password, "deploy --password {} --host h"),
    "curl -u": (password, "curl -su ada:{} https://example.org"),
    "mysql -p": (password, "mysql -u root -p{} shop"),
    "sshpass": (password, "sshpass -p {} ssh h"),
    "database URL": (password, "postgres://ada:{}@db:5432/shop"),
    "git URL": (lambda: some(40), "https://{}@example.org/r.git"),
    "signed URL": (lambda: some(64, HEX), "https://s3.example.org/x?X-Amz-Signature={}&a=b"),
    "bearer": (lambda: some(40), "-H 'Authorization: Bearer {}'"),
    "cookie": (password, "Cookie: session={}"),
    "GitLab header": (password, "curl -H 'PRIVATE-TOKEN: {}' https://h"),
    "YAML name and value in braces": (password, "env: [{{name: DB_PASSWORD, value: {}}}]\n"),
    "YAML value before name": (password, "- value: {}\n  name: DB_PASSWORD\n"),
    "YAML value in a block": (password, "- name: DB_PASSWORD\n  value: |\n    {}\n"),
    "YAML next line": (password, "db:\n  password:\n    {}\n"),
    "YAML anchor": (lambda: some(12, string.ascii_lowercase), "password: &pw {}\nagain: *pw\n"),
    "YAML quoted word": (lambda: some(12, string.ascii_lowercase), "client_secret: '{}'\n"),
    "JSON name, type and value": (password, 'env {{"name":"API_KEY","type":"string","value":"{}"}} set'),
    "JSON like a variable": (lambda: "$" + some(12, string.ascii_lowercase), 'got {{"password": "{}"}} back'),
    "XML attributes": (password, '<add key="Password" value="{}"/>'),
    "XML attributes, value first": (password, '<add value="{}" key="Password"/>'),
    "Hadoop": (password, "<property><name>db.password</name><value>{}</value></property>"),
    "Windows setx": (password, 'setx DB_PASSWORD "{}"'),
    "PowerShell": (password, 'ConvertTo-SecureString "{}" -AsPlainText -Force'),
    "Dockerfile": (password, "ENV DB_PASSWORD {}\n"),
    "Terraform": (password, 'variable "db_password" {{\n  default = "{}"\n}}\n'),
    "Python subscript": (password, 'os.environ["DB_PASSWORD"] = "{}"'),
    "nested JSON": (password, 'got {{"token": {{"value": "{}"}}}} back'),
}  # fmt: skip

#: Command lines without a secret, whose options take no value.
COMMANDS = [
    "ansible-playbook --ask-become-pass site.yml", "ansible-playbook --ask-pass --ask-vault-pass deploy.yml", "mysql --skip-password shop", "gh auth login --with-token < file",
    "docker login --password-stdin ghcr.io", "git commit -m 'Rotate the token'", "rails credentials --show-secret edit", "tool --private-key ~/.ssh/id_ed25519 --token /run/secrets/token1",
    "docker build --secret id=npm,src=.npmrc .", "docker build --secret=id=npm,env=NPM_TOKEN .", "docker build --secret type=file,id=npm .", "train --max-token 4096", "train --num-token 5000 x", "bench --pass 2",
]  # fmt: skip
#: What holds nothing secret, and stays to the byte.
HARMLESS = [
    # Numbers and metrics.
    "total_token=250000 prompt_token=180000 samples_per_pass=1048576", "tokens_used=1234567 max_tokens=200000", "first_pass=120000", "loss_per_token=0.123456", "mean_token=1234.5, x", '{"total_tokens": 250000, "total_token": 250000}',
    "usage: prompt_tokens: 1200345, completion_tokens: 88123", "token=4096", "pass=17 fail=0", "tests pass: 17 of 20", "unit_pass: 120 of 125", "3 passed, 1 skipped in 12.30s",
    # What only names a secret.
    *COMMANDS, "the option --password is required", "use --token to authenticate", "vault: enter the password: ",
    "TypeError: login() missing 1 required positional argument: 'password'", "E   KeyError: 'api_key'", "PASSED tests/test_auth.py::test_password_reset", "Invalid token: identifier",
    "password: ${DB_PASSWORD}", "password: [a-z]{8}", "token: [a-z0-9_]+", "token: ${{ secrets.GITHUB_TOKEN }}", "PASSWORD=***", "api_key: <your key>", "secret=os.environ['X']", '{"auth": "oauth2-authorization-code"}', '"auth": "required"',
    "auth: AuthenticationMiddleware", "author=ada oauth=enabled", "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: password\n", '{"name": "LOG_LEVEL", "value": "debug17x"}',
    '{"name": "DB_PASSWORD", "valueFrom": "arn:aws:secretsmanager:eu-west-1:1:secret:db-Ab12Cd"}', "arn:aws:secretsmanager:us-east-1:123456789012:secret:db/password-Ab12Cd",
    "private_key: /etc/ssl/private/server1.key", "TOKEN=/run/secrets/token1", "--private-key ~/.ssh/id_ed25519", "password: op://vault/db/password1", '{"private_key": "./keys/deploy2.pem"}',
    "type: password", "input[type=password]", "<label>password</label>", "cache_key: v1-deps-0a1b2c3d", "primary_key=order_id2", "sort_key: created_at2", "public_key: MIIB1234567890",
    # Neighbours of settings: workflows, schemas, type annotations, references.
    "- name: Deploy\n  value: production\n", "- name: Get token\n  run: make token\n", "name: Deploy\non:\n  push:\n", "on:\n  workflow_call:\n    secrets:\n      token:\n        required: true\n", "inputs:\n  token:\n    description: who asks\n    default: ${{ github.token }}\n",
    "{name: LOG_LEVEL, value: debug17x}", "{value: debug17x, name: LOG_LEVEL}", "{name: DB_PASSWORD, value: $DB_PASSWORD}", "{name: token_count, value: many}", "- value: debug\n  name: LOG_LEVEL\n", "- name: DB_PASSWORD\n  required: true\n- name: LEVEL\n  value: debug\n",
    "- name: TOKEN\n  value: ${TOKEN}\n", "[{name: password}, {name: user, value: ada}]", '{"name":"password","type":"string"},{"name":"user","value":"ada"}', '{"name":"password","type":"string","value":""}',
    "password: required", "token: max_length", "password: str", "password: str = None", "password: Optional[str] = None", "def login(user: str, password: str) -> None:", "api_key: SecretStr", "token: &str", "fn f(token: &mut Token) {}", "fn f(key: &str, token: &dyn Token) {}",
    "secret: !Ref DbSecret", "password: &pw ${PASSWORD}", "token: *token", 'api_key: "required"', 'access_token: "invalid"', 'max_token: "length"', 'def sign(private_key: "_RSAPrivateKey", data: bytes)', '    private_key: "RSAPrivateKey"\n', 'f(api_key: "string", client_secret: "Secret")', "token:\n  required\n", "token:\n    The token to use.\n", "password:\n  type: string\n", "token:\n\tpytest\n",
    "password:\nuser: ada", "secret:\n  name: db\n", "Unexpected token:\n  identifier\n", 'PASSWORD="$PASSWORD"', 'PASSWORD="$pw"', "PASSWORD=%PASSWORD%", "PASSWORD=$(cat file)", '{"password": "$PASSWORD"}', '{"password": "${password}"}', '"password": "%s"', '"token": "%(token)s"',
    '<add key="Password" value=""/>', '<add key="PasswordLength" value="many"/>', '<add key="Password" value="${PASSWORD}"/>', '<input name="password" type="password">', '<input name="user" value="ada"><input name="password">', '<add value="x1" key="a"/><add key="token"/>',
    '<label name="x">password</label>', "<key>Password</key>\n<true/>", "<key>Name</key><string>ada</string>", 'variable "db_password" {\n  type = string\n}\nvariable "a" {\n  default = "x"\n}\n', 'variable "db_password" {\n  default = ""\n}\n',
    "setx DB_PASSWORD %DB_PASSWORD%", "env TOKEN make", "setenv TOKEN $TOKEN", "ENV PATH /usr/bin", "ConvertTo-SecureString $password -AsPlainText", "ConvertTo-SecureString -AsPlainText", 'if token == "identifier":', 'os.environ["TOKEN"] = token', 'os.environ["TOKEN"] == "x"',
    "a machine learning password manager", "machine h login ada password $PASSWORD", "set -e token", "env token is unset",
    # DNA, capitals, words that begin as tokens do.
    "guide ACCATTGCAGGACTTCAGGA PAM TGG", "primer_f=ACCAGTTGACCATGCAATGC", "region ASIANPACIFICREGIONAL", "ABIAACCAGTTACGTACGTA", "sk-fading-circle", "task-force-1234567890123456", "risk-assessment-of-2026",
    "disk-usage-0123456789abcdef", "xoxo-hugs-and-kisses-to-all", "hf_hub_download", "npm_config_registry=https://r", "r8_kernel", "fw_update_in_progress_now_ok", "pat-na-tion", "API-1234 is closed", "EAAlgorithm",
    "v1.0-rc1-build", "dp.point.x", "npm_lifecycle_event", "access-control-allow-origin", "sq0", "shp file: roads.shp", "xai-lib", "tskey-", "eyJ", "SG.1", "key-value", "keyboard=us",
    # Addresses without credentials.
    "https://github.com/acme/shop.git", "git@github.com:acme/shop.git", "ssh://git@github.com/acme/shop", "git+https://git@github.com/acme/shop.git@v1.2", "http://localhost:5173/@vite/client",
    "http://[::1]:8080/@fs/home/x.js", "docker://alpine:3.18@sha256:" + "0a1b" * 16, "http://example.com:8080?mail=ada@example.org", "https://example.org/a@b/c?page=2", "see http://h:8080/ or ada@example.org",
    "https://cdn.example.org/npm/@scope/pkg@1.2.3/x.js", "mailto:ada@example.org", "postgres://db:5432/shop", "redis://cache:6379/0", "https://example.org/?auth=disabled&x=1", "amqp://mq:5672//", "ftp://anonymous@host/pub",
    # Paths, logs, code.
    "/home/ada/.ssh/id_rsa", "cat: /etc/passwd: Permission denied", "src/auth/password_reset.py:17: error", "C:\\Users\\ada\\token.txt", "OLDPWD=/builds/acme/shop", "PWD=/work",
    "2026-11-20T14:15:16.123Z INFO [main] c.a.s.TokenService - refreshed token in 12ms", "warning: token `x` is never used", "const token = tokenizer.next();", "return secrets.token_hex(16)",
    "if password == expected:", "self.password = password", "def login(user, password=None):", "case Token::Pass => 'a'", "let key = map.keys().next()", "compass: north17", "BYPASS=on COMPASS=x1",
    "Set-Cookie: none", "authorization: required", "Bearer authentication is used", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI ada@h",
    "tls.crt: " + base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB0123456789abcdef\n").decode(), "password: |\n  <your password>\n", "secret: >-\n  ${SECRET}\n",
]  # fmt: skip


def made_harmless() -> Iterator[str]:
    """Ids and digests, of which a run holds many."""
    for _ in range(20):
        yield some(40, HEX)
        yield f"commit {some(40, HEX)} by ada"
        yield f"sha256:{some(64, HEX)}"
        yield str(uuid.UUID(int=chance.getrandbits(128)))
        yield f"job {some(12, HEX)} took {some(3, DIGITS)} ms"
        yield some(60, "ACGT")
        yield f">seq1\n{some(200, 'ACGTN')}"
        yield f"integrity sha512-{encoded(some(48))}"
        yield f"/tmp/build-{some(8)}/out-{some(6)}.log"
        yield f"20261120T141516Z-shell-{some(8, HEX)}"


def test_secrets_are_found_in_real_forms() -> None:
    missed = []
    for form, (secret, around) in FORMS.items():
        for _ in range(EACH):
            value = secret()
            redactor = Redactor({}, {})
            text = around.format(value)
            # In a text, in JSON as a text, and in JSON that is a text.
            cleaned = [
                redactor.text(text),
                json.dumps(redactor.value({"out": text})),
                str(redactor.value(json.dumps([text]))),
                str(redactor.value(text)),
            ]
            missed += [
                f"{form}: {value}"
                for one in cleaned
                if any(part in one for part in (value, value[-12:], json.dumps(value)[1:-1]))
            ]
    assert missed == []


def test_what_is_no_secret_stays() -> None:
    changed = []
    texts = [*HARMLESS, *made_harmless()]
    for text in texts:
        redactor = Redactor({}, {})
        cleaned = [(redactor.text(text), text), (redactor.value({"out": text}), {"out": text})]
        if text in COMMANDS:
            cleaned.append((redactor.words(text.split(" ")), text.split(" ")))
        changed += [f"{text!r}: {after!r}" for after, before in cleaned if after != before]
    assert changed == []


def test_the_documented_rates_are_those_of_the_corpus() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "exec.md").read_text(encoding="utf-8")
    number = len(HARMLESS) + len(list(made_harmless()))
    assert (
        f"all {len(FORMS) * EACH} secrets in {len(FORMS)} forms, and changes none of {number} texts without any"
        in " ".join(documented.split())
    )
