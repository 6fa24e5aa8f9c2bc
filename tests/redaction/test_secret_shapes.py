"""Every rule for secrets takes out what it is for, and nothing of what only looks like it."""

import base64
import json
import re
import string
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.core.values import LONGEST_ERROR_DETAILS
from telemetry_cli.redaction import patterns as secret_shapes
from telemetry_cli.redaction import redactor as redact
from telemetry_cli.redaction.names import REDACTED, is_secret_name
from telemetry_cli.redaction.patterns import (
    PHRASES,
    RULES,
    SECRET_NAMES,
    SHORTEST_TOKEN,
    TOKENS,
    Signs,
)
from telemetry_cli.redaction.redactor import Redactor, refuse_secret

LETTERS = string.ascii_letters + string.digits


def filled(length: int, alphabet: str = LETTERS) -> str:
    """Some text that has the shape of a secret."""
    return "".join(alphabet[(7 * n + 3) % len(alphabet)] for n in range(length))


HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"
JWT = f"eyJ{filled(20)}.eyJ{filled(30)}.{filled(43)}"
LOGIN = base64.b64encode(b"bob:Zx9Kq2Lm7Tt4Vw1").decode()
UUID = "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"
KEY = "-----BEGIN {0}PRIVATE KEY-----\nMIIE{1}\n{1}\n-----END {0}PRIVATE KEY-----"

#: Rule → texts that hold a secret in `«»`.
HELD: dict[str, list[str]] = {
    "private-key": ["key: «" + KEY.format("RSA ", filled(64)) + "» end", "«" + KEY.format("", filled(64)) + "»", "«-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl»",
        "«---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/5\n---- END SSH2 ENCRYPTED PRIVATE KEY ----»"],
    "private-key-base64": [f"tls.key: «{base64.b64encode(KEY.format(kind, filled(64)).encode()).decode()}»" for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA ", "PGP ")],
    "putty-key": ["Private-Lines: 2\n«" + filled(64) + "\n" + filled(63) + "=»\nPrivate-MAC: 0"],
    "docker-config": [".dockerconfigjson: «" + base64.b64encode(b'{"auths":{"ghcr.io":{"auth":"' + LOGIN.encode() + b'"}}}').decode() + "»"],
    "aws-bedrock": ["«ABSK" + filled(120) + "=»"],
    "alibaba": ["«LTAI" + filled(20) + "»"],
    "tencent": ["«AKID" + filled(32) + "»"],
    "yandex": ["«AQVN" + filled(36) + "»", "«y0_" + filled(56) + "»"],
    "cloudflare-origin": ["«v1.0-" + filled(24, HEX) + "-" + filled(146, HEX) + "»"],
    "fly": ["«fo1_" + filled(43) + "»", "«fm2_" + filled(100) + "==»"],
    "netlify": ["«nfp_" + filled(36) + "»"],
    "neon": ["«napi_" + filled(64, HEX) + "»"],
    "heroku": ["«HRKU-AA" + filled(58) + "»", f"«HRKU-{UUID}»"],
    "openshift": ["oc login --server=h «sha256~" + filled(43) + "»"],
    "doppler": ["«dp.pt." + filled(43) + "»", "«dp.st.dev_main." + filled(43) + "»"],
    "dynatrace": ["«dt0c01." + filled(24, UPPER) + "." + filled(64, UPPER) + "»"],
    "pulumi": ["«pul-" + filled(40, HEX) + "»"],
    "prefect": ["«pnu_" + filled(36) + "»"],
    "nuget": ["«oy2" + filled(43, HEX) + "»"],
    "clojars": ["«CLOJARS_" + filled(60, HEX) + "»"],
    "artifactory": ["«AKCp" + filled(69) + "»", "«cmVmdGtu" + filled(56) + "»"],
    "sonar": [f"«{kind}_{filled(40, HEX)}»" for kind in ("squ", "sqp", "sqa")],
    "octopus": ["«API-" + filled(26, UPPER) + "»"],
    "teams-webhook": ["https://acme.webhook.office.com/webhookb2/«" + UUID + "@" + UUID + "/IncomingWebhook/" + filled(32, HEX) + "/" + UUID + "»"],
    "model-provider": ["«" + key + "»" for key in (
        "gsk_" + filled(52), "xai-" + filled(80), "nvapi-" + filled(64), "pplx-" + filled(48), "r8_" + filled(37), f"lsv2_pt_{filled(32, HEX)}_{filled(10, HEX)}",
        "fw_" + filled(24), "csk-" + filled(48), "tgp_v1_" + filled(43), "tvly-dev-" + filled(32), "pcsk_" + filled(6) + "_" + filled(60))],
    "square": ["«sq0atp-" + filled(22) + "»"],
    "facebook": ["«EAA" + filled(100) + "»"],
    "brevo": ["«xkeysib-" + filled(64, HEX) + "-" + filled(16) + "»"],
    "shippo": ["«shippo_live_" + filled(40, HEX) + "»"],
    "plaid": [f"«access-production-{UUID}»"],
    "hubspot": [f"«pat-na1-{UUID}»"],
    "figma": ["«figd_" + filled(40) + "»"],
    "contentful": ["«CFPAT-" + filled(43) + "»"],
    "typeform": ["«tfp_" + filled(44) + "»"],
    "1password": ["«ops_eyJ" + filled(200) + "»"],
    "mapbox": ["«sk.eyJ1" + filled(40) + "." + filled(22) + "»"],
    "private-key-end": [
        "«" + filled(64) + "\n»-----END EC PRIVATE KEY-----",
        "«Info: AES-128-CBC,0A1B\n\n" + filled(64) + "\n»-----END RSA PRIVATE KEY-----\nmore",
    ],
    "age-key": ["«AGE-SECRET-KEY-1" + filled(58, UPPER) + "»"],
    "aws-access-key": ["id «AKIA" + filled(16, UPPER) + "» x", "«ASIA" + filled(16, UPPER) + "»"],
    "google-api-key": ["«AIza" + filled(35) + "»"],
    "google-oauth": ["«ya29." + filled(40) + "»", "«GOCSPX-" + filled(28) + "»", "«1//0" + filled(60) + "»"],
    "azure-secret": ["«abc8Q~" + filled(34) + "»"],
    "azure-sas": ["https://a.blob.core.windows.net/c?sv=2020&sig=«" + filled(44) + "»"],
    "digitalocean": ["«dop_v1_" + filled(64, HEX) + "»"],
    "databricks": ["«dapi" + filled(32, HEX) + "»"],
    "hashicorp": ["«hvs." + filled(30) + "»", "«" + filled(14) + ".atlasv1." + filled(60) + "»"],
    "github": [f"«{kind}_{filled(36)}»" for kind in ("ghp", "gho", "ghu", "ghs", "ghr")] + ["«github_pat_" + filled(60) + "»"],
    "gitlab": ["«glpat-" + filled(20) + "»", "«gldt-" + filled(20) + "»", "«glcbt-64_" + filled(20) + "»", "«glffct-" + filled(20) + "»", "«glpat-" + filled(27) + ".01." + filled(9) + "»", "«GR1348941" + filled(20) + "»"],
    "atlassian": ["«ATATT3xFfGF0" + filled(80) + "»", "«ATBB" + filled(32) + "»", "«ATCTT3xFfGN0" + filled(80) + "»"],
    "npm": ["//registry.example.org/:_auth «npm_" + filled(36) + "»"],
    "pypi": ["«pypi-AgEIcHlwaS5vcmc" + filled(60) + "»"],
    "rubygems": ["«rubygems_" + filled(48, HEX) + "»"],
    "docker": ["«dckr_pat_" + filled(27) + "»"],
    "buildkite": ["«bkua_" + filled(40, HEX) + "»"],
    "circleci": ["«CCIPAT_" + filled(22) + "_" + filled(40, HEX) + "»"],
    "slack": ["«xoxb-" + "1234567890-1234567890-" + filled(24) + "»", "«xapp-1-" + filled(40, UPPER) + "»", "«xoxc-" + "123456789012-" + filled(64, HEX) + "»", "«xoxd-" + filled(60) + "%2B" + filled(40) + "%3D%3D»",
        "«xoxd-" + filled(60) + "/+" + filled(40) + "==»", "«xoxe.xoxp-1-" + filled(160) + "»"],
    "slack-webhook": ["https://hooks.slack.com/services/«T0000000/B0000000/" + filled(24) + "»"],
    "discord-webhook": ["https://discord.com/api/webhooks/123456789012345678/«" + filled(68) + "»"],
    "stripe": ["«sk_live_" + filled(24) + "»", "«rk_test_" + filled(24) + "»", "«whsec_" + filled(32) + "»"],
    "model-key": ["«sk-ant-api03-" + filled(60) + "»", "«sk-proj-" + filled(40) + "»", "«sk-" + filled(48) + "»", "«sk-None-" + filled(20) + "T3BlbkFJ" + filled(20) + "»"],
    "huggingface": ["«hf_" + filled(34) + "»"],
    "sendgrid": ["«SG." + filled(22) + "." + filled(43) + "»"],
    "twilio": ["«SK" + filled(32, HEX) + "»"],
    "mailgun": ["«key-" + filled(32, HEX) + "»"],
    "telegram": ["bot«123456789:AA" + filled(33) + "»"],
    "shopify": ["«shpat_" + filled(32, HEX) + "»"],
    "linear": ["«lin_api_" + filled(40) + "»"],
    "grafana": ["«glsa_" + filled(32) + "_" + filled(8, HEX) + "»"],
    "new-relic": ["«NRAK-" + filled(27, UPPER) + "»"],
    "sentry": ["«sntrys_" + filled(60) + "»"],
    "planetscale": ["«pscale_tkn_" + filled(43) + "»"],
    "tailscale": ["«tskey-auth-" + filled(17) + "-" + filled(20) + "»"],
    "postman": ["«PMAK-" + filled(24, HEX) + "-" + filled(34, HEX) + "»"],
    "notion": ["«ntn_" + filled(46) + "»"],
    "supabase": ["«sbp_" + filled(40, HEX) + "»", "«sb_secret_" + filled(31) + "»"],
    "jwt": [f"x «{JWT}» y"],
    "url-credentials": ["postgres://«ada:s3cr3t»@db:5432/x", "https://«user:p@ss»@example.org/r.git", "redis://«:s3cr3t»@cache", "ssh://«git:pw»@example.org/x", "amqps://«a:b%40»@q/v", "postgres://«u:p@ss/x»@h/db",
        "https://«u:a:b@c»@h/x", "https://«u:p#1»@h/x", "https://«u:8080»@h/x", "https://«u:p:»@h/x"],
    "url-token": ["https://«abcdef012345»@example.org/r.git", "git clone http://«tok»@host/x"],
    "url-query": ["https://example.org/x?key=«abcdef0123»&y=1", "https://s3/x?X-Amz-Signature=«abcdef0123456789»", "https://m/x?a=1&sig=«abcdefgh»", "https://m/x?auth=«s3cr3tvalue»&y=1"],
    "authorization": ["Authorization: Bearer «abc»", "curl -H 'authorization: Basic «dXNlcjpw»'", '"Authorization": "token «abcd»"', "Proxy-Authorization=«s3cr3tvalue»"],
    "bearer": ["bearer «abcdef0123456789»"],
    "cookie": ["Cookie: «session=abcdef; x=y»", "set-cookie: «id=a3fWa»"],
    "login": [f'{{"auths": {{"ghcr.io": {{"auth": "«{LOGIN}»"}}}}}}', f'\\"auth\\": \\"«{LOGIN}»\\"', f"//registry.example.org/:_auth=«{LOGIN}»", f"_auth = «{LOGIN}»", f'npmAuthIdent: "«{LOGIN}»"'],
    "named-value": ['{"name": "DB_PASSWORD", "value": "«x»"}', '{"Name":"API_TOKEN","Value":"«a b»"}', '{\n  "key": "NPM_TOKEN",\n  "value": "«x»"\n}', '{\\"name\\":\\"DB_PASSWORD\\",\\"value\\":\\"«x»\\"}',
        'a {"name":"API_KEY","type":"string","value":"«x»"} b', '{"type":"env","name":"API_KEY","a":[1],"value":"«x»"}', "{'name': 'API_KEY', 'secure': True, 'value': '«x»'}",
        '{\\"name\\":\\"API_KEY\\",\\"type\\":\\"string\\",\\"value\\":\\"«x»\\"}', "{name: DB_PASSWORD, value: «hunter»}", "[{name: A, value: b}, {name: \"DB_PASSWORD\", value: '«x y»'}]",
        "{ name: DB_PASSWORD, secure: true, value: «a b» }", '{"name": "DB_PASSWORD", "value": "«$x»"}'],
    "value-named": ['{"value": "«x y»", "name": "DB_PASSWORD"}', '{"Value":"«x»","Key":"API_TOKEN"}', 'a {"value":"«x»","type":"string","name":"API_KEY"} b',
        "{value: «hunter», name: DB_PASSWORD}", "{'value': '«x»', 'name': 'DB_PASSWORD'}"],
    "named-value-yaml": ["- name: DB_PASSWORD\n  value: «x y»\n- name: B", "env:\n  - name: 'API_TOKEN'\n    value: \"«x»\"",
        "- name: DB_PASSWORD # of the shop\n  value: «x»", "- name: DB_PASSWORD\n  type: string\n  value: «x»\n- name: B", "- name: DB_PASSWORD\r\n  value: '«x»'\r\n",
        "- name: DB_PASSWORD\n  value: |\n    «a\n    b»\n- name: B", "- name: DB_PASSWORD\n  value: >-\n    «a»"],
    "value-named-yaml": ["- value: «x y»\n  name: DB_PASSWORD\n- name: B", '- value: "«x»"\n  name: "DB_PASSWORD"', "- value: '«x»' # a\n  key: API_TOKEN"],
    "yaml-anchor": ["password: «&pw swordfish»", 'password: «&pw "sword fish"»', "api_key: «!!str hunter»\nnext: 1", "{token: «&t !!str abc», a: 1}"],
    "yaml-next-line": ["db:\n  password:\n    «swordfish»\n  user: ada", '- db_password:\n    "«sword fish»"', "'token': # of ada\r\n  '«x»'\r\n", "api_key:\n  «abcdef»"],
    "quoted-line": ['api_key: "«swordfish»"', "  client_secret: '«swordfish»'", 'access_token: "«abc-def»"'],
    "yaml-block": ["password: |\n  «first\n  second»\nnext: 1", "  client_secret: >-\n    «a b»", "api_key: |\n\t«x»",
        "password: |2-\n  «x»", "password: &pw |\n  «x»", "password: | # of ada\n  «x»", "password: |\n\n  «x»\n\nnext: 1", "api_key: !!str >\n  «x»"],
    "assignment": [
        "SSHPASS=«x»", "//registry.example.org/:_authToken=«x»", "MYSQL_ROOT_PASSWORD=«x»", "a.b.c.secret=«x»", "token=«123456»", "access_token=«123456»", "pass_phrase=«x»",
        "TOKEN=«x»", "DB_PASSWORD=«hunter2» make", "export API_KEY=\"«a b»\"", "aws_secret_access_key=«abc/def+ghi»", "?access_token=«abc»&x=1", "clientSecret='«x y»'",
        "--password=«x»", "-Dtoken=«x»", "PGPASSWORD=«a,b»", "SECRET_KEY=«x»", "Server=s;Password=«x»;Database=d", 'api-key=\\"«x»\\"', "passphrase=«x»", "AccountKey=«abc==»;",
        "PASS=«x»", "DB_PASS=«hunter»", "--pass=«x»", "\x1b[36mTOKEN\x1b[0m=\x1b[32m«x»\x1b[0m", 'PASSWORD="«a\\"b c»"', "PASSWORD='«$2b$12$abc»'", "TOKEN=«$9x$y»", "PASSWORD='«$x»'", "set DB_PASSWORD=«x»", 'set "DB_PASSWORD=«x»"', "password=«%abc1»",
    ],
    "assignment-spaced": ["password = «hunter2!»", 'client_secret = "«x y»"', "api_key   =   'v«»'".replace("v«»", "«v»"),
        '"api_key" = "«x»"', 'os.environ["DB_PASSWORD"] = "«x»"', "config[:password] = '«x»'", 'password: str = "«x»"', "private token: string | null = '«x»';", 'password = \"\"\"\n«x y»\"\"\"',
        "$env:DB_PASSWORD = '«$x»'"],
    "default": ['variable "db_password" {\n  type = string\n  default = "«x»"\n}'],
    "set-variable": ["setx DB_PASSWORD «x»", 'setx /M DB_PASSWORD "«x y»"', "ENV DB_PASSWORD «x»", "set -gx DB_PASSWORD «x»", "setenv DB_PASSWORD «x»", 'putenv("API_KEY", "«x»")', "[Environment]::SetEnvironmentVariable('DB_PASSWORD', '«x y»')"],
    "secure-string": ['ConvertTo-SecureString "«x y»" -AsPlainText -Force', "ConvertTo-SecureString -String '«x»' -AsPlainText", "ConvertTo-SecureString «x» -AsPlainText"],
    "element-pair": ["<key>Password</key>\n  <string>«x»</string>", "<property><name>db.password</name><value>«x»</value></property>"],
    "attributes": ['<add key="Password" value="«x»"/>', '<add value="«x»" key="Password"/>', "<add key='Password'\n  value='«x y»' />", '<param name="password" type="x" value="«$x»"/>', '<string name="api_key">«x»</string>',
        '<property value="«x»" kind="a" name="db.password"/>'],
    "json-pair": ['{"password": "«x»"}', "{'api_key': '«x y»'}", '{\\"token\\": \\"«x»\\"}', '{"clientSecret":"«x»"}', "'password' => '«x y»',", '"api_key"=>"«x»"', '{"password": "«ab\\"S3CRET»"}',
        '{"a":"{\\"password\\": \\"«ab\\\\\\"S3CRET»\\"}"}', '\x1b[34;1m"password"\x1b[0m\x1b[1;39m:\x1b[0m \x1b[0;32m"«x»"\x1b[0m', '{"password":"«a\\\\»"}',
        '{"password":"«$x»"}', "{'password': '«$pw»'}", '"token": "«%abc1»"', '"password": "«%path%»"'],
    "password-line": ["password: «sword5fish»", "DB_PASSWD: «x!yz»", "Password: «hunter2»", 'password: "«swordfish»"', "  db_password: '«sword fish»'", 'password: "«ab\\"c1»"',
        "\x1b[33mpassword\x1b[0m: \x1b[32m«hunter2»\x1b[0m", "\x1b[1mpassword:\x1b[0m «hunter2»", "password: \x1b[32m«hunter2»\x1b[0m", "db_pass: «Zx9Kq2Lm7»", "ansible_become_pass: «x1!y»", 'password: "«$x»"', "password: '«$hunter»'"],
    "symbol-pair": [':password => "«x y»"', "{:api_key=>'«x»'}", ':db_password=>"«a\\"b»"'],
    "element": ["<password>«x y»</password>", "<c:Password>«x»</c:Password>", '<clientSecret encrypted="no">«x»</clientSecret>', "<password><![CDATA[«x»]]></password>", "<apiKey>\n«»</apiKey>".replace("\n«»", "«abc»")],
    "secret-line": ["api_key: «abc123def»", "  token: «a1b2c3d4e5»", 'token: "«a1b2c3d4e5»"', "client_secret: '«a1b2c3d4e5»'", "\x1b[36mtoken\x1b[0m: «a1b2c3d4e5»\x1b[0m", "    client-key-data: «QUJDREVGR0hJ1»"],
    "option": ["mysql --password «x» -h db", "tool --token '«x y»'".replace("«x y»'", "«x»'"), "tool --api-key «abc»", "java -password «x»", "--client-secret «x»", "tool --pass «x»", "tool --secret «-value»"],
    "curl-user": ["curl -u ada:«s3cr3t» https://example.org", "curl -s --user 'ada:«s3cr3t»' https://x", "wget --user=ada:«x»",
        "curl -fsSu ada:«s3cr3t» https://x", "curl -sku 'ada:«x»' https://x", "curl -fsSuada:«x» https://x", "curl -sU ada:«x» https://x", "http --auth ada:«x» example.org",
        "https -a ada:«x» GET example.org", "http --auth=ada:«x» :8080/y", "xh -a ada:«x» example.org", "/usr/bin/curl -su ada:«x» https://x"],
    "short-option": ["sshpass -p «x» ssh host", "sshpass -p«x» ssh", "mysql -u root -p«x» db", "redis-cli -a «x» ping", "docker login -u me -p «x» r"],
    "openssl": ["openssl rsa -passin pass:«letters» -in k", "openssl enc -pass 'pass:«x»'"],
    "token-header": ["curl -H 'PRIVATE-TOKEN: «letters»' https://h", "JOB-TOKEN: «abcdef»"],
    "netrc": ["machine h login ada password «x»", "machine h\n  login ada\n  account b\n  password «x»", "machine h password «x» login ada"],
}  # fmt: skip

#: What must stay as it is, to the byte.
HARMLESS = [
    "", "make test", "pytest -q tests/test_token.py::test_token", "0123456789abcdef0123456789abcdef01234567", "sha256:" + filled(64, HEX), "550e8400-e29b-41d4-a716-446655440000",
    "20261120T141516Z-shell-0a1b2c3d", "https://github.com/acme/shop.git", "git@github.com:acme/shop.git", "ssh://git@github.com/acme/shop", "https://example.org/a@b/c?page=2&keyboard=us",
    "http://localhost:8080/x", "see http://[::1]:8080/ or ada@example.org", "max_tokens=100", "tokens: 4096", "{\"tokens\": 12, \"token_count\": \"3\"}", "prompt_tokens=5 completion_tokens=7",
    "use --token to authenticate", "the option --password is required", "--password was not given", "Enter password:", "password: required", "invalid token: identifier", "Unexpected token: }",
    "SyntaxError: Unexpected token < in JSON at position 0", "TOKEN=$TOKEN", "TOKEN=${TOKEN}", "token: ${{ secrets.GITHUB_TOKEN }}", "password=<your password>", "PASSWORD=***", "secret=None",
    "token = tokenizer.next()", "key=value", "primary_key=id", "sort_key: name", "keyword=x", "monkey=banana", "turkey: 12345678", "secretary: Ada", "passwords are checked", "tokenize=fast",
    "bearer of bad news", "Bearer authentication is used", "sk-fading-circle", "task-1234567890123456789012345678901234567890-x", "risk-assessment", "disk-usage", "npm_config_registry", "npm_lifecycle_event",
    "docker run -u 1000:1000 image", "docker run -p 8080:80 image", "mkdir -p a/b", "ssh -p 22 host", "mysql -h db", "curl -o file:x https://example.org", "curl -u ada https://example.org", "hf_hub", "xoxo", "eyJ",
    "AKIA", "AKIDEXAMPLE", "asian", "SG.1", "dapi", "shpat_", "key-value", "cookie: true", "cookies.txt", "Set-Cookie", "the cookie jar", "authorization: none", "authorization = required", "authorization failed",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ada@host", "PRIVATE KEY", "error: missing credential",
    "pad_token", "FAILED tests/test_auth.py::test_password[wrong] - assert 401 == 200", "E   KeyError: 'api_key'", "TypeError: login() missing 1 required positional argument: 'password'", "10:AA", "12:AAB",
    "passed=5 failed=0", "compass: north", "pwd", "cd $(pwd)", "echo $PWD", "/home/ada/.ssh/id_rsa", "--keyring x", "--key file.pem", "--max-tokens 100", "--tokenizer fast", "git commit -m 'Rotate the token'",
    "Secret santa", "2026-11-20T14:15:16.789Z", "feature/password-reset", "v1.2.3-rc.1+build.5", "user@host:~/x$", "wss://example.org/socket", "a:b@c", "C:\\Users\\ada", "PWD=/home/ada OLDPWD=/tmp", "pwd: /srv/x", '{"pwd": "/x", "PWD": "~/y"}', "Error: authorization: permission denied for ada", "cookie: not set here", "file:///home/ada", "GPG_KEY_ID", "100%",
    "/etc/passwd: Permission denied", "cat: /etc/passwd: Permission denied", "src/password: 12 files", "lib/reset-password: v1.2.3 built", "password: incorrect", "Password: forgotten, ask Ada", "passphrase: swordfish",
    "pass=5 fail=0", "compass=x", "bypass=x", "3 pass, 1 fail", "TOKEN=$1", "http://h:8080/a@b", "PASS tests/x.js", "--pass -v",
    "token=4096", "max_token=128", "--token=7",
    "curl -fsSu ada https://example.org", "curl -fsSo out:put https://example.org:8443/a", "curl -fsSu $USER:$PASS https://h", "http --auth-type bearer example.org", "http -a ada :8080/y", "http --auth ada:${PASS} x",
    'password: "required"', 'password: ""', "password: '${DB_PASSWORD}'", 'password: "must be longer"', 'pwd: "/srv/x"', 'Unexpected token: "}"', "Unexpected token: 'abc'", 'token: "identifier"',
    "<password></password>", "<password/>", "<max_token>4096</max_token>", "<token>***</token>", "<key>value</key>", "<keyword>x</keyword>", "<password>required</password>", "<label>password</label>",
    "token => token.id", "'passwords' => count", "'password' => $password", "'key' => 'value'", "case :password", ":keyword => 'x'", "'password' => 'required|min:8'"[:25] + "'", "?auth=required", "?auth=disabled&x=1",
    "\x1b[33mpassword\x1b[0m: required", "\x1b[31mtoken\x1b[0m: identifier", "\x1b[33mkey\x1b[0m=value", '{"password": "<\\"x\\">"}', "Password: 'incorrect",
    "http :8080/a X-A:b", "docker run -itu 1000:1000 image", "chown -hu ada:staff x", "http://example.org/curl-user -u a:b", "ps -eo user:20", "curl -H x:y --url https://h:80",
]  # fmt: skip


def test_every_rule_has_its_test() -> None:
    assert sorted(HELD) == sorted(name for name, _, _ in RULES)


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in HELD.items() for text in texts]
)
def test_a_secret_is_taken_out(rule: str, text: str) -> None:
    before, _, rest = text.partition("«")
    secret, _, after = rest.partition("»")
    redactor = Redactor({}, {})
    cleaned = redactor.text(before + secret + after)
    assert cleaned == before + REDACTED + after
    assert Redactor({}, {}).text(cleaned) == cleaned


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in HELD.items() for text in texts]
)
def test_a_rule_takes_it_out_alone(rule: str, text: str) -> None:
    """Not only because another rule happens to do so."""
    pattern = next(pattern for name, _, pattern in RULES if name == rule)
    plain = text.replace("«", "").replace("»", "")
    assert REDACTED in Redactor({rule: pattern}, {})._substituted(rule, pattern, plain)


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in HELD.items() for text in texts]
)
def test_json_with_a_secret_is_suspect(rule: str, text: str) -> None:
    plain = text.replace("«", "").replace("»", "")
    assert Redactor({}, {}).suspects(json.dumps({"a": [plain]}).encode())


@pytest.mark.parametrize("few", [10_000, 0])
def test_the_first_texts_and_all_further_ones_are_searched_alike(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_shapes, "_FEW", few)
    monkeypatch.setattr(redact, "_signs", Signs())
    plain = [text.replace("«", "").replace("»", "") for texts in HELD.values() for text in texts]
    assert [text for text in plain if REDACTED not in Redactor({}, {}).text(text)] == []
    assert bool(redact._signs._patterns) == (not few)


def test_a_secret_among_many_texts_is_found_whenever_it_comes() -> None:
    redactor = Redactor({}, {})
    for number in range(20_000):
        name = f"value {number % 5000}"
        found = redactor.value(
            {
                name: name,
                "again": f"ghp_{filled(36)}" if number % 7 == 0 else "step",
                "db_pass": number + 10**6,
            }
        )
        assert found == {
            name: name,
            "again": REDACTED if number % 7 == 0 else "step",
            "db_pass": REDACTED,
        }
    assert len(redactor._clean) <= 4096


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (
            'got {"password": {"value": "x", "n": 7}} now',
            'got {"password": {"value": "[redacted]", "n": 7}} now',
        ),
        (
            'got {"db":{"secrets":["hunter2","of a3"],"port":5}}',
            'got {"db":{"secrets":["[redacted]", "[redacted]"],"port":5}}',
        ),
        (
            '{"credentials": {"a": [{"b": "}"}]}}\n',
            '{"credentials": {"a": [{"b": "[redacted]"}]}}\n',
        ),
        (
            '{\n  "token":\n  {"a": "x"},\n  "b": "c"\n} after',
            '{\n  "token":\n  {"a": "[redacted]"},\n  "b": "c"\n} after',
        ),
        (
            'a {"token": {"a": "x"}} b {"key": 1} c {"secret": ["y"]} d',
            'a {"token": {"a": "[redacted]"}} b {"key": 1} c {"secret": ["[redacted]"]} d',
        ),
        (
            'a {"token": {"a": b}} {"secret": ["y"]}',
            'a {"token": {"a": b}} {"secret": ["[redacted]"]}',
        ),
        ('a {"secret": ["ä"], "x": "ä"}', 'a {"secret": ["[redacted]"], "x": "ä"}'),
    ],
)
def test_json_in_a_text_is_json(text: str, cleaned: str) -> None:
    redactor = Redactor({}, {})
    assert (redactor.text(text), redactor.text(cleaned)) == (cleaned, cleaned)
    assert redactor.suspects(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        'fields {"password": {"type": "string", "minLength": 8}, "token": {"count": 12}}', '{"tokens": {"prompt": 5, "completion": 7}} used', 'x {"password": {}} y', 'x {"keys": {"a": "b"}}',
        'secret is {"monkey": {"a": "b"}}', 'x {"password": {"from": "${VAULT}"}}', "token {'a': {'b': 'c'}}", 'the "token": {see below}', '"token": [', '"token":',
        'token "a":{"token":[' + "[" * 100_000,
    ],
)  # fmt: skip
def test_json_in_a_text_without_a_secret_stays(text: str) -> None:
    assert Redactor({}, {}).text(text) == text


@pytest.mark.parametrize(
    "argv",
    [
        ["password:", "sword5fish"],
        ["\x1b[1mpassword:\x1b[0m", "hunter2"],
        ["db_password:", "'sword", "fish'"],
    ],
)
def test_json_that_is_a_text_stays_json(argv: list[str]) -> None:
    """No rule for texts may take the quotes between two of its texts for its own."""
    document = json.dumps({"tokens": 5, "argv": argv})
    assert json.loads(str(Redactor({}, {}).value(document))) == {"tokens": 5, "argv": argv}


def test_a_key_that_stands_twice_in_a_text_hides_no_secret() -> None:
    """What reads JSON keeps the last of its values, and the text keeps both."""
    token = f"ghp_{filled(36)}"
    for text in (
        f'{{"tokens":5,"a":"{token}","a":"x"}}',
        f'{{"tokens":5,"b":[{{"a":"{token}","a":1}}]}}',
        f'{{"token":"{token}","token":5}}',
    ):
        assert token not in str(Redactor({}, {}).value(text))


def test_every_secrets_name_is_one_in_json_that_is_a_text() -> None:
    for name in SECRET_NAMES:
        assert Redactor({}, {}).value(json.dumps({f"db_{name}": "a1b2c3d4e5"})) == json.dumps(
            {f"db_{name}": REDACTED}, separators=(",", ":")
        ), name


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    redactor = Redactor({}, {})
    assert redactor.text(text) == text
    assert redactor.found == {}


@given(st.text(max_size=300))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = Redactor({}, {}).text(text)
    assert Redactor({}, {}).text(once) == once


@given(
    st.lists(
        st.sampled_from(
            [text.replace("«", "").replace("»", "") for texts in HELD.values() for text in texts]
            + HARMLESS[1:]
        ),
        max_size=5,
    )
)
def test_cleaning_several_twice_is_cleaning_once(texts: list[str]) -> None:
    once = Redactor({}, {}).text("\n".join(texts))
    assert Redactor({}, {}).text(once) == once


# JSON, command lines, the environment, own rules


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        (
            {"api_key": "x", "tokens": 4, "n": {"clientSecret": "y"}},
            {"api_key": REDACTED, "tokens": 4, "n": {"clientSecret": REDACTED}},
        ),
        ({"password": ""}, {"password": ""}),
        ({"PWD": "/home/ada", "DB_PWD": "x1"}, {"PWD": "/home/ada", "DB_PWD": REDACTED}),
        (
            {"password": None, "token": True, "secret": False},
            {"password": None, "token": True, "secret": False},
        ),
        (
            {"password": 12345678, "db_password": 7, "secret": 1.5, "token": 99123456},
            {"password": REDACTED, "db_password": REDACTED, "secret": REDACTED, "token": REDACTED},
        ),
        (
            {"token": {"value": "S", "n": [1, "T"]}},
            {"token": {"value": REDACTED, "n": [1, REDACTED]}},
        ),
        ({"password": {"value": 12345678}}, {"password": {"value": REDACTED}}),
        (
            {"passwords": ["S"], "tokens": ["a1b2c3d4"], "api_keys": {"x": "S"}},
            {"passwords": [REDACTED], "tokens": [REDACTED], "api_keys": {"x": REDACTED}},
        ),
        (
            {"credentials": {"pw": "S", "user": "ada"}},
            {"credentials": {"pw": REDACTED, "user": REDACTED}},
        ),
        ('{"token": {"value": "S"}, "n": 1}', f'{{"token":{{"value":"{REDACTED}"}},"n":1}}'),
        ({"a": '[{"password": 12345678}]'}, {"a": f'[{{"password":"{REDACTED}"}}]'}),
        ('{"password": "S", "é": "\\ud800"}', f'{{"password":"{REDACTED}","\\u00e9":"\\ud800"}}'),
        *(
            (value, value)
            for value in (
                {
                    "tokens": 123456,
                    "max_tokens": 200000,
                    "token_count": 123456,
                    "total_tokens": 123456,
                    "prompt_tokens": 7,
                },
                {"credentials": 123456, "passwords": 200000, "secrets": 100000},
                {
                    "token": 17,
                    "pass": 99999,
                    "cookie": 1,
                    "per_token": 0.5,
                    "key": 12345678,
                    "public_key": "x",
                    "keys": ["x"],
                },
                {"tokens": ["the", "cat", "##ing"], "pad_tokens": ["a1b2c3d4"]},
                {"secrets": ["DB_PASSWORD", "STRIPE_KEY"]},
                {"secrets": "inherit"},
                {"passwords": "are checked"},
                {"token": {"input": 12, "output": 40}},
                {
                    "total_token": 250000,
                    "prompt_token": 180000,
                    "samples_per_pass": 1048576,
                    "firstPass": 120000,
                    "tokens_used": 10**7,
                },
                {"passwords": {"weak": 3}},
                {"properties": {"password": {"type": "string", "description": "of the user"}}},
                {"token": {"type": "integer", "minimum": 100000}},
                {"passes": ["lint"], "compass": {"north": "x"}},
                {"pwd": ["/home/ada"]},
                {"password": ["${X}", "", None]},
                "[password]",
                '{"tokens": 123456 }',
                '{"password"}',
                "[" * 5000 + "password" + "]",
            )
        ),
        ({"token": "$TOKEN", "pad_token": "<pad>"}, {"token": "$TOKEN", "pad_token": "<pad>"}),
        (["mysql", "--password", "to", "-h", "db"], ["mysql", "--password", REDACTED, "-h", "db"]),
        (["tool", "--password=x", "y"], ["tool", f"--password={REDACTED}", "y"]),
        (["tool", "--password", "--verbose"], ["tool", "--password", "--verbose"]),
        (
            ["ansible-playbook", "--ask-become-pass", "site.yml"],
            ["ansible-playbook", "--ask-become-pass", "site.yml"],
        ),
        (
            ["mysql", "--skip-password", "db", "-p", "--no-token", "x"],
            ["mysql", "--skip-password", "db", "-p", "--no-token", "x"],
        ),
        (
            ["tool", "--token", "/run/secrets/token", "--password", "./pw"],
            ["tool", "--token", "/run/secrets/token", "--password", "./pw"],
        ),
        (
            {"env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "LOG", "value": "x"}]},
            {"env": [{"name": "DB_PASSWORD", "value": REDACTED}, {"name": "LOG", "value": "x"}]},
        ),
        (
            [{"Value": "x", "Name": "API_TOKEN"}, {"key": "NPM_TOKEN", "value": "x"}],
            [{"Value": REDACTED, "Name": "API_TOKEN"}, {"key": "NPM_TOKEN", "value": REDACTED}],
        ),
        ({"key": "total_token", "value": 250000}, {"key": "total_token", "value": 250000}),
        (
            {"access_token": 123456789, "oauth_token": 123456789},
            {"access_token": REDACTED, "oauth_token": REDACTED},
        ),
        ({"pass_word": "x"}, {"pass_word": REDACTED}),
        ({"Pass Phrase": "x"}, {"Pass Phrase": REDACTED}),
        ([{"name": "Cookie", "value": "a"}], [{"name": "Cookie", "value": REDACTED}]),
        (["tool", "--refresh-token", "x"], ["tool", "--refresh-token", REDACTED]),
        ({"auths": {"ghcr.io": {"auth": LOGIN}}}, {"auths": {"ghcr.io": {"auth": REDACTED}}}),
        (
            {"_auth": LOGIN, "auth": "oauth2-authorization-code"},
            {"_auth": REDACTED, "auth": "oauth2-authorization-code"},
        ),
        (
            {"private_key": "/etc/ssl/private/key1.pem"},
            {"private_key": "/etc/ssl/private/key1.pem"},
        ),
        (["curl", "-u", "ada:x y", "https://h"], ["curl", "-u", f"ada:{REDACTED} y", "https://h"]),
        (
            ["curl", "-fsSu", "ada:x y", "https://h"],
            ["curl", "-fsSu", f"ada:{REDACTED} y", "https://h"],
        ),
        (["http", "--auth", "ada:x", "h"], ["http", "--auth", f"ada:{REDACTED}", "h"]),
        (
            ["sh", "-c", "curl -u ada:x https://h"],
            ["sh", "-c", f"curl -u ada:{REDACTED} https://h"],
        ),
        (["mysql", "-px", "db"], ["mysql", f"-p{REDACTED}", "db"]),
        ([1, None, {"a": ["--token", "t"]}], [1, None, {"a": ["--token", REDACTED]}]),
        (["tool", "--secret", "-value"], ["tool", "--secret", REDACTED]),
        (
            ["tool", "--pass", "x", "--password", "-h"],
            ["tool", "--pass", REDACTED, "--password", "-h"],
        ),
        (
            {"password": "$2b$12$abc", "DB_PASS": "x", "pass": 3},
            {"password": REDACTED, "DB_PASS": REDACTED, "pass": 3},
        ),
        ("TOKEN=x", f"TOKEN={REDACTED}"),
        ({"ghp_" + filled(36): 1}, {REDACTED: 1}),
        (5, 5),
    ],
)
def test_json(value: object, cleaned: object) -> None:
    assert Redactor({}, {}).value(value) == cleaned
    line = json.dumps(value, separators=(",", ":")).encode()
    assert Redactor({}, {}).suspects(line) or cleaned == value


@pytest.mark.parametrize(
    "name", [name for name in SECRET_NAMES if name not in ("authorization", "cookie")]
)
def test_a_name_that_says_it_is_a_secret_says_so_everywhere(name: str) -> None:
    """As a key, a variable and an option, with its parts set off or not."""
    parts = re.sub(r"(?<=[a-z])key$", "_key", name)
    for spelled in {name, parts, parts.replace("_", "-"), parts.upper()}:
        assert is_secret_name(spelled)
        assert Redactor(environ={}).value({spelled: "abc9abc9"}) == {spelled: REDACTED}
        assert Redactor(environ={}).text(f"{spelled}=abc9abc9") == f"{spelled}={REDACTED}"
        assert Redactor(environ={}).words([f"--{spelled}", "abc9abc9"]) == [
            f"--{spelled}",
            REDACTED,
        ]


def test_ids_and_digests_of_an_operation_stay() -> None:
    data = {
        "event_id": "TOKEN=x",
        "run": "TOKEN=x",
        "commit_hash": filled(40, HEX),
        "blob": filled(64, HEX),
        "product": "TOKEN=x",
    }
    assert Redactor({}, {}).operation(data) == {**data, "product": f"TOKEN={REDACTED}"}


def test_metrics_keep_their_numbers_whatever_their_names() -> None:
    metrics = {
        "token": 250000,
        "bearer_token": 1.5e9,
        "build_pass": 10**9,
        "pass": True,
        "leaked_password": 250000,
        "access_key": 12,
        "n_secret": 3,
        "rotated_api_key": 2 * 10**5,
        "encryption_key": 1.5,
        "credential": 10**9,
    }
    for data in ({"metrics": metrics}, {"metrics_json": json.dumps(metrics)}):
        assert Redactor({}, {}).operation(data) == data
        assert Redactor({}, {}).row(list(data), list(data.values())) == list(data.values())
    assert Redactor({}, {}).operation({"metrics": {"token": "a1b2c3d4"}}) == {
        "metrics": {"token": REDACTED}
    }
    assert Redactor({}, {}).operation({"metrics_json": '{"token":"a1b2c3d4","pass":250000}'}) == {
        "metrics_json": f'{{"token":"{REDACTED}","pass":250000}}'
    }
    assert Redactor({}, {}).operation({"metrics": {"db_password": "250000"}}) == {
        "metrics": {"db_password": REDACTED}
    }
    assert Redactor({}, {}).operation({"metrics": {"password": {"value": 250000}}}) == {
        "metrics": {"password": {"value": REDACTED}}
    }
    assert Redactor({}, {}).operation({"context": {"token": 250000}}) == {
        "context": {"token": REDACTED}
    }


def test_a_longer_text_stays_within_its_bounds() -> None:
    data = {
        "agent_name": "pwd=a " * 33,
        "run_id": "pwd=a " * 42,
        "error_details": "pwd=a\n" * 10922,
    }
    cleaned = Redactor({}, {}).operation(data)
    assert (len(str(cleaned["agent_name"])), len(str(cleaned["run_id"]))) == (200, 255)
    assert len(str(cleaned["error_details"]).encode()) <= LONGEST_ERROR_DETAILS


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("DEPLOY_TOKEN", "a1b2c3d4", True), ("DB_PASSWORD", "correct-horse-battery-staple", True), ("API_KEY", "x1y2z3w4v5", True), ("clientSecret", "q9q9q9q9", True),
        ("DEPLOY_TOKEN", "short1", False), ("API_TOKEN", "production", False), ("GPG_KEY", "a1b2c3d4e5f6", False), ("TOKEN_FILE", "a1b2c3d4e5", False), ("SECRET", "/run/secrets/x1", False), ("HOME_DIR", "a1b2c3d4", False),
        ("DEPLOY_TOKEN", "/9j4AAQSkZJRgABAQEAYABgAAD==", True), ("DEPLOY_TOKEN", "/Kx9+a1B2c3D4", True), ("DB_PASSWORD", "correct horse battery staple 7", True),
        ("DB_PASSWORD", "a1b2c3 d4", True), ("SIGNING_SECRET", "first1234567890line\nsecond1234567890line", True), ("DB_PASSWORD", "$ecret-w0rd", True),
        ("DB_PASSWORD", "$2b$12$abcdefgh", True), ("APP_SECRET", "[a1b2c3d4]", True), ("STRIPE_KEY", "a1b2c3d4e5f6g7h8", True), ("APP_KEY", "base64:" + filled(43) + "=", True),
        ("SECRET_KEY_BASE", filled(128, HEX), True),
        ("DB_PASSWORD", "$DB_PASSWORD_1", False), ("DB_PASSWORD", "${OTHER_PASSWORD_1}", False), ("DB_PASSWORD", "[redacted]", False), ("PWD", "/Work9/Project1234567", False),
        ("OLDPWD", "/builds/x1/y2/Z3zzzzzzz", False), ("DB_PASSWORD", "/srv/Secrets/Password1", False), ("TOKEN", "/Keys/deploy1.Pem", False), ("TOKEN", "/custom/place/of/token1", False),
        ("TOKEN", "~/Secrets/Token1234", False), ("APP_KEY", "production-key", False), ("APP_KEY", "short1key", False), ("KEY", "a1b2c3d4e5f6g7h8", False),
        ("PUBLIC_KEY", "a1b2c3d4e5f6g7h8", False), ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D", False), ("SSH_KEY_PATH", "a1b2c3d4e5f6g7h8", False),
        ("KEYBOARD", "a1b2c3d4e5f6g7h8", False), ("AWS_ACCESS_KEY_ID", "a1b2c3d4e5f6g7h8", False), ("CACHE_KEY", "v1-deps-0a1b2c3d4e5f", False),
        ("NEXT_PUBLIC_STRIPE_KEY", "a1b2c3d4e5f6g7h8", False), ("SSH_KEY", "/home/ada/.ssh/id_ed25519", False), ("MONKEY", "a1b2c3d4e5f6g7h8", False),
    ],
)  # fmt: skip
def test_values_of_secret_variables_are_taken_out_wherever_they_stand(
    name: str, value: str, hidden: bool
) -> None:
    redactor = Redactor({}, {name: value})
    assert redactor.text(f"it is {value}, then") == (
        f"it is {REDACTED}, then" if hidden else f"it is {value}, then"
    )
    assert redactor.suspects(json.dumps({"a": value}).encode()) or not hidden


def test_a_variable_that_ends_with_its_line_and_the_lines_of_a_longer_one_are_known() -> None:
    redactor = Redactor(
        {},
        {
            "DEPLOY_TOKEN": "a1b2c3d4e5f6\n",
            "SIGNING_SECRET": "first1234567890line\nand 2\nlast1234567890lines\n",
        },
    )
    assert redactor.text("a1b2c3d4e5f6, last1234567890lines") == f"{REDACTED}, {REDACTED}"
    assert redactor.text("first1234567890line and 2") == f"{REDACTED} and 2"


SECRET_VALUE = "a\"b/c?1 \\\\ä+%2!*()'\n€😀."


@pytest.mark.parametrize(
    "text",
    [
        SECRET_VALUE,
        json.dumps(SECRET_VALUE),
        json.dumps(SECRET_VALUE, ensure_ascii=False),
        urllib.parse.quote(SECRET_VALUE, safe=""),
        urllib.parse.quote_plus(SECRET_VALUE),
        re.sub("%..", lambda match: match[0].lower(), urllib.parse.quote(SECRET_VALUE, safe="")),
        # As Python's quote, JavaScript's encodeURI and encodeURIComponent, and forms have it.
        urllib.parse.quote(SECRET_VALUE),
        urllib.parse.quote(SECRET_VALUE, safe=";,/?:@&=+$-_.!~*'()#"),
        urllib.parse.quote(SECRET_VALUE, safe="!~*'()"),
        urllib.parse.quote_plus(SECRET_VALUE, safe="*"),
        urllib.parse.quote(urllib.parse.quote(SECRET_VALUE)),
        # JSON within JSON, and as Go and PHP write it.
        json.dumps(json.dumps(SECRET_VALUE)),
        json.dumps(json.dumps(json.dumps(SECRET_VALUE))),
        json.dumps(json.dumps(SECRET_VALUE, ensure_ascii=False)),
        json.dumps(SECRET_VALUE).replace("/", "\\/"),
        json.dumps(SECRET_VALUE).replace("'", "\\u0027").replace("+", "\\u002B"),
        *(
            base64.b64encode((before + SECRET_VALUE + after).encode()).decode()
            for before in ("", "a", "ab", "ada:")
            for after in ("", "!", "@h")
        ),
        *(
            base64.urlsafe_b64encode((before + SECRET_VALUE).encode()).decode()
            for before in ("", "a", "ab")
        ),
    ],
)
def test_a_secret_variable_is_known_in_other_forms(text: str) -> None:
    redactor = Redactor({}, {"DB_PASSWORD": SECRET_VALUE})
    cleaned = redactor.text(f"it is {text} here")
    assert REDACTED in cleaned
    # In base64, the characters at both ends also stand for what is before and behind.
    around = cleaned.removeprefix("it is ").removesuffix(" here").split(REDACTED)
    assert len(around) == 2
    assert all(not part.strip('"\\') or len(part) <= 8 for part in around)
    assert Redactor({}, {"DB_PASSWORD": SECRET_VALUE}).suspects(f"it is {text} here".encode())
    assert Redactor({}, {}).text(f"it is {text} here") == f"it is {text} here"


def test_marks_of_a_rule_hold_a_names_mark_all_or_none() -> None:
    """Or one of them would not be looked for."""
    for name, marks, _ in RULES:
        held = [
            any(
                part in (mark if isinstance(mark, str) else mark[0]).lower()
                for part in secret_shapes.NAME_MARKS
            )
            for mark in marks
        ]
        assert all(held) or not held[0], name


def test_no_token_is_shorter_than_a_searched_text() -> None:
    assert [
        name
        for name, _, pattern in TOKENS
        if re._parser.parse(pattern).getwidth()[0] < SHORTEST_TOKEN  # type: ignore[attr-defined]
    ] == []
    assert sorted(RULES) == sorted((*TOKENS, *PHRASES))


@pytest.mark.parametrize(
    "words",
    [
        ["curl", "-u", "ada:x1"],
        ["http", "-a", "ada:x"],
        ["a", "--password", "x"],
        ["mysql", "-px"],
        ["docker", "login", "-p", "x"],
        ["sshpass", "-p", "x"],
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_line_with_words_that_hold_a_secret_is_suspect(
    words: list[str], separators: tuple[str, str]
) -> None:
    line = json.dumps({"command": words}, separators=separators)
    assert Redactor({}, {}).value(words) != words
    assert Redactor({}, {}).suspects(line.encode())
    assert Redactor({}, {}).suspects((line + "\n" + '{"a": 1}\n' * 2000).encode())


@pytest.mark.parametrize(
    "line",
    [
        '{"url":"https://example.org/x"}',
        '{"a":"http","b":"xh","author":"Ada"}',
        '{"keyboard":"x"}',
        '{"a":"docker","b":"mysql"}',
    ],
)
def test_a_line_with_half_a_mark_is_not_suspect(line: str) -> None:
    assert not Redactor({}, {}).suspects(line.encode())


def test_a_file_that_a_variable_names_is_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telemetry_cli.redaction.names.ROOTS", frozenset())
    file = tmp_path / "Key9"
    assert Redactor({}, {"TOKEN": str(file)}).text(f"cat {file}") == f"cat {REDACTED}"
    file.touch()
    assert Redactor({}, {"TOKEN": str(file)}).text(f"cat {file}") == f"cat {file}"


def test_own_rules() -> None:
    redactor = Redactor({"ticket": r"TCK-(?P<secret>\d+)", "word": "xyzzy"}, {})
    assert redactor.text("TCK-123 xyzzy TCK-") == f"TCK-{REDACTED} {REDACTED} TCK-"
    assert redactor.found == {"ticket": 1, "word": 1}
    assert redactor.suspects(b"{}")


@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?P<secret>"])
def test_an_own_rule_that_is_none(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="mine"):
        Redactor({"mine": pattern}, {}).text("x")


def test_an_own_rule_that_takes_too_long_redacts_the_text() -> None:
    """Each text has some time to itself, so that those behind it are looked at too."""
    redact.hide({"slow": "(a+)+$", "word": "xyzzy"})
    try:
        redactor = Redactor({"slow": "(a+)+$", "word": "xyzzy"}, {})
        assert redactor.text("a" * 60 + "!") == REDACTED
        assert redactor.text("a" * 40 + "!") == REDACTED
        assert redactor.text("say xyzzy") == f"say {REDACTED}"
        assert redactor.found == {"own rules took too long": 2, "word": 1}
    finally:
        redact.hide({})


def test_an_own_rule_that_matches_nothing_at_all_changes_nothing() -> None:
    assert Redactor({"mine": "x*"}, {}).text("abc") == "abc"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "githubToken",
        "api-key",
        "API_KEY",
        "client.secret",
        "aws_secret_access_key",
        "credentials",
        "Authorization",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "tokens",
        "key",
        "public_key",
        "keyboard",
        "secretary",
        "passenger",
        "token_count",
        "next_token",
        "eos_token",
        "password_file",
        "",
    ],
)
def test_names_of_none(name: str) -> None:
    assert not is_secret_name(name)


def test_an_id_that_looks_like_a_secret_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--event-id"):
        refuse_secret("--event-id", "ghp_" + filled(36))
    assert refuse_secret("--event-id", "github-165-1-build") == "github-165-1-build"


def test_an_id_that_a_variable_holds_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDEMPOTENCY_TOKEN", "build-1234567890")
    assert refuse_secret("--event-id", "build-1234567890") == "build-1234567890"
