"""What secrets look like: one row per rule, of literal marks and a pattern. Data only; `redact` acts on it.

A rule is looked at only where one of its marks stands in the text, so that text without any costs no regular expression. A mark
in lower case stands for any case; of a tuple, all must stand there.

Of a match, what its groups `secret`, `quoted`, `escaped` and `single` hold is taken out; without such groups, all of it.
"""

_PASSWORDS = ("password", "passwd", "passphrase", "pwd")
#: What the value under it is a secret by: the words that its name ends in, parts set off by `_`, which may be another separator or none.
_NAMED = (
    *_PASSWORDS, "pass", "secret", "token", "api_key", "access_key", "secret_key", "private_key", "signing_key", "encryption_key", "auth_key", "master_key",
    "account_key", "storage_key", "secret_key_base", "credential", "credentials",
)  # fmt: skip
#: Words that stand for themselves in JSON and environments, and more narrowly in text: `compass`, and the folder in `PWD=/home`.
_IN_TEXT = {"pass": r"(?<![a-z0-9])pass", "pwd": r"pwd(?![\"'\\]{0,2}\s?[=:]\s?[\"'\\]?[/~])"}
_NAME = rf"[a-z0-9_.-]{{0,64}}?(?:{'|'.join(_IN_TEXT.get(name, name.replace('_', '[_-]?')) for name in _NAMED)})"
_START = r"(?<![a-z0-9])"
#: What stands in the place of a secret without being one: a variable, a placeholder, a type, what was redacted before.
_NO_SECRET = (
    r"(?![\"']?(?:\$(?:[{(]|(?:[a-z_][a-z0-9_]*|[0-9@*#?!$-])(?![^\s\"'`;&|<>)/:.,@\]}\\]))|<|\{\{|%[({a-z]|\*{3}|\[redacted\]|\.\.\.|(?:null|none|true|false|yes|no|string|str|bytes|required|optional|undefined|missing|empty)\b"
    r"|(?:os|process|env|self|args|config|settings|secrets)[.\[]))"
)
#: After `token=` and `pass=`, a small number counts something.
_NO_COUNT = r"(?!(?:(?<=token=)|(?<=pass=))[0-9]{1,5}(?![^\s,;)&\"']))"
#: A text in quotes, with what is escaped in it: in JSON, and in JSON that is a text in JSON.
_QUOTED = r"\\\"(?P<escaped>(?:[^\"\\\r\n]|\\\\(?:\\\")?|\\(?![\"\\]))++)|\"(?P<quoted>(?:[^\"\\\r\n]|\\[^\r\n])++)|'(?P<single>[^'\r\n]++)"
_VALUE = rf"(?:{_QUOTED}|(?P<secret>[^\s\"'`;&|<>)\x1b]+))"
#: Colours of a terminal around names and values.
_COLOUR = r"(?:\x1b\[[0-9;]{0,20}m)*+"
#: What follows an option's name in a sentence about it.
_PROSE_WORDS = (
    r"(?:to|is|for|or|and|must|option|options|flag|argument|in|with|was|requires?|required|needs?|cannot|can|not|has|have|if|when|instead|as|on|by|from|are"
    r"|should|will|may|value|parameter|the|a|an|that|which|does|could|isn't|wasn't)\b"
)
_PROSE = rf"(?!{_PROSE_WORDS})"
_KEYS = ("key", "keybase", "key_base", "key-base", "token", "secret", "credential", "pass", *_PASSWORDS)


def _with(words: tuple[str, ...], *endings: str) -> tuple[str, ...]:
    return tuple(word + ending for word in words for ending in endings)


#: A literal text, or several that all must stand there.
Mark = str | tuple[str, ...]
#: (rule, marks, pattern). Patterns ignore case only where they say so.
RULES: tuple[tuple[str, tuple[Mark, ...], str], ...] = (
    # Keys as blocks; of one whose beginning was cut off, everything before its end.
    (
        "private-key",
        ("PRIVATE KEY",),
        r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    (
        "private-key-end",
        ("PRIVATE KEY",),
        # Headers hold dashes: DEK-Info: AES-128-CBC.
        r"(?s)\A(?!\[redacted\]-----END)(?P<secret>(?:(?!-----BEGIN ).)+?)-----END [A-Z0-9 ]{0,40}PRIVATE KEY",
    ),
    ("age-key", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[0-9A-Z]{40,}"),
    # Clouds.
    ("aws-access-key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("google-api-key", ("AIza",), r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{35}"),
    ("google-oauth", ("ya29.", "GOCSPX-"), r"(?<![A-Za-z0-9])(?:ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{20,})"),
    ("azure-secret", ("8Q~",), r"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    ("azure-sas", ("sig=",), r"(?i)[?&;]sig=(?P<secret>[a-z0-9%/+=]{30,})"),
    ("digitalocean", ("doo_v1_", "dop_v1_", "dor_v1_"), r"do[opr]_v1_[0-9a-f]{64}"),
    ("databricks", ("dapi",), r"(?<![A-Za-z0-9])dapi[0-9a-f]{32}"),
    ("hashicorp", ("hvs.", "hvb.", "hvr.", ".atlasv1."), r"(?<![A-Za-z0-9])(?:hv[sbr]\.[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,})"),
    # Forges and package registries.
    ("github", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"), r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9_]{30,255}|github_pat_[A-Za-z0-9_]{22,255})"),
    ("gitlab", ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-", "glsoat-"),
     r"(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[A-Za-z0-9_.-]{18,}"),
    ("atlassian", ("ATATT3", "ATBB"), r"(?<![A-Za-z0-9])(?:ATATT3[A-Za-z0-9_=-]{60,}|ATBB[A-Za-z0-9]{24,})"),
    ("npm", ("npm_",), r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}"),
    ("pypi", ("pypi-Ag",), r"(?<![A-Za-z0-9])pypi-Ag[A-Za-z0-9_-]{50,}"),
    ("rubygems", ("rubygems_",), r"rubygems_[0-9a-f]{48}"),
    ("docker", ("dckr_pat_", "dckr_oat_"), r"dckr_[po]at_[A-Za-z0-9_-]{20,}"),
    ("buildkite", ("bkua_",), r"bkua_[0-9a-f]{40}"),
    ("circleci", ("CCIPAT_",), r"CCIPAT_[A-Za-z0-9_]{30,}"),
    # Services.
    ("slack", ("xox", "xapp-"),
     r"(?<![A-Za-z0-9])(?:xox[abeoprs][-.](?:[A-Za-z0-9]+-?){2,}|xapp-[0-9]-[A-Za-z0-9-]{20,})"),
    ("slack-webhook", ("hooks.slack.com/",), r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9/_+-]{20,})"),
    ("discord-webhook", ("/api/webhooks/",), r"/api/webhooks/[0-9]{15,21}/(?P<secret>[A-Za-z0-9_-]{40,})"),
    ("stripe", ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"), r"(?<![A-Za-z0-9])(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,})"),
    ("model-key", ("sk-",), r"(?<![A-Za-z0-9-])sk-(?:(?:ant|proj|svcacct|admin|or|lf)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{32,})"),
    ("huggingface", ("hf_",), r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}"),
    ("sendgrid", ("SG.",), r"(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("twilio", ("SK",), r"(?<![A-Za-z0-9])SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("mailgun", ("key-",), r"(?<![A-Za-z0-9-])key-[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("telegram", (":AA",), r"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{32,33}(?![A-Za-z0-9_-])"),
    ("shopify", ("shpat_", "shpca_", "shppa_", "shpss_"), r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("linear", ("lin_api_",), r"lin_api_[A-Za-z0-9]{40}"),
    ("grafana", ("glsa_", "glc_ey"), r"(?<![A-Za-z0-9])(?:glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_ey[A-Za-z0-9+/=]{30,})"),
    ("new-relic", ("NRAK-",), r"NRAK-[A-Z0-9]{27}"),
    ("sentry", ("sntrys_", "sntryu_"), r"sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    ("planetscale", ("pscale_",), r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{30,}"),
    ("tailscale", ("tskey-",), r"tskey-[a-z]+-[A-Za-z0-9-]{16,}"),
    ("postman", ("PMAK-",), r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("notion", ("ntn_",), r"(?<![A-Za-z0-9])ntn_[A-Za-z0-9]{40,}"),
    ("supabase", ("sbp_",), r"(?<![A-Za-z0-9])sbp_[0-9a-f]{40}"),
    ("jwt", ("eyJ",), r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),
    # URLs and headers.
    ("url-credentials", (("://", "@"),), r"(?i)[a-z][a-z0-9+.-]{1,20}://(?!\[redacted\]@)(?P<secret>[^\s/:@\"'<>?#]*:(?!//)(?:(?![0-9]{1,5}/)[^\s\"'<>?#]+|[^\s/\"'<>]+))@"),
    ("url-token", (("://", "@"),), r"(?i)(?:https?|git|ftps?)://(?!\[redacted\]@)(?P<secret>[^\s/:@\"'<>?#]+)@"),
    ("url-query", ("sig=", "key=", "auth=", "signature=", "jwt=", "-token=", "-credential="),
     r"(?i)[?&](?:key|sig|jwt|auth(?==[^&\s\"'#]*[0-9])|signature|x-(?:amz|goog)-(?:signature|credential|security-token))=(?!\[redacted\])(?P<secret>[^&\s\"'#]{8,})"),
    ("authorization", ("authorization",),
     r"(?i)authorization[\"'\\]*+\s{0,2}+[:=]\s{0,2}+[\"'\\]*+(?:(?:bearer|basic|token|digest|negotiate|apikey|aws4-hmac-sha256)\s++" + _NO_SECRET
     + r"(?P<quoted>[^\r\n\"'\\]+)|" + _NO_SECRET + r"(?P<secret>(?=[^\s\"'\\]*[0-9])[^\s\"'\\]{8,}))"),
    ("bearer", ("bearer",), r"(?i)(?<![a-z])bearer\s+(?=[a-z._~+/-]*[0-9])(?P<secret>[a-z0-9._~+/-]{12,}=*)"),
    ("cookie", ("cookie:", "cookie\":", "cookie\\"), r"(?i)(?<![a-z])(?:set-)?cookie[\"'\\]*+\s{0,2}+:\s{0,2}+[\"'\\]*+" + _NO_SECRET + r"(?P<secret>(?=[^\r\n\"']*=)[^\r\n\"'\\]{4,})"),
    # Names that say what follows.
    ("assignment", _with(_KEYS, "=", "s=", "\"=", "'=", "\x1b"), rf"(?i){_START}{_NAME}[\"'\\]{{0,2}}+{_COLOUR}={_COLOUR}{_NO_SECRET}{_NO_COUNT}{_VALUE}"),
    ("assignment-spaced", tuple((word, " =") for word in _KEYS),
     rf"(?i){_START}{_NAME}\s{{1,20}}+=\s{{0,20}}+{_NO_SECRET}(?:{_QUOTED}|(?P<secret>(?=\S*[0-9])[^\s\"'().\[\]{{}},;]{{6,}})(?=\s|$))"),
    ("json-pair", _with(_KEYS, "\"", "'", "s\"", "s'", "\\"), rf"(?i)[\"']{_NAME}\\?[\"']{_COLOUR}\s{{0,4}}+(?::|=>){_COLOUR}\s{{0,4}}+{_COLOUR}{_NO_SECRET}(?:{_QUOTED})"),
    ("symbol-pair", tuple((word, "=>") for word in _KEYS), rf"(?i)(?<![a-z0-9:]):{_NAME}\s{{0,4}}+=>\s{{0,4}}+{_NO_SECRET}(?:{_QUOTED})"),
    ("element", tuple((word, "</") for word in _KEYS), rf"(?i)<(?:[a-z0-9_]{{1,40}}:)?{_NAME}(?:\s[^<>]{{0,200}})?>(?![0-9]{{1,5}}<){_NO_SECRET}(?P<secret>[^<>]+)</"),
    ("password-line", _with(_PASSWORDS, ":", "\x1b"),
     (rf"(?i)(?<![a-z0-9_./-])[a-z0-9_.-]{{0,64}}?(?:pass(?:word|wd|phrase)|pwd){_COLOUR}:{_COLOUR}(?!\s?[\"']?[/~])[ \t]{{0,4}}+{_COLOUR}{_NO_SECRET}{_PROSE}"
      rf"(?:(?![\"']{_PROSE_WORDS})(?:{_QUOTED})\\?[\"']|(?P<secret>(?=[a-z]*+[^\s\"'a-z])(?=[^\s\"']*[0-9!@#$%^&*+=?~])[^\s\"'\x1b]{{4,}}))")),
    ("secret-line", _with(("key", "token", "secret"), ":", "\x1b"),
     (rf"(?i){_START}{_NAME}{_COLOUR}:{_COLOUR}[ \t]{{0,4}}+{_COLOUR}{_NO_SECRET}[\"']?+"
      r"(?P<secret>(?=[^\s\"']*[0-9])(?=[^\s\"']*[a-z])[^\s\"',;(){}<>\x1b]{8,})")),
    ("option", _with(_KEYS, " ", "s ", "\t", "\x1f", "s\x1f"), rf"(?i)(?<![\w-])--?{_NAME}\s{{1,4}}+(?!--|-\w?(?:\s|$)|[\"']?pass:)[\"']?+{_NO_SECRET}{_PROSE}(?P<secret>[^\s\"']+)"),
    # Short options may stand together: -fsSu ada:…
    ("curl-user", (("curl", " -"), ("curl", "\x1f-"), ("wget", "-"), ("http", "--auth"), ("http", " -a"), ("http", "\x1f-a"), ("xh", "--auth"), ("xh", " -a"), ("xh", "\x1f-a")),
     r"(?i)(?<![a-z])(?:curl|wget|https?|xhs?)\s[^\n|;]{0,400}?(?<=\s)(?:-[a-z0-9#]{0,12}?u|-a|--user|--proxy-user|--auth)[\s=]?+[\"']?+[^\s:\"'/]++:" + _NO_SECRET
     + r"(?P<secret>[^\s\"']+)"),
    ("short-option", ("sshpass", ("mysql", "-p"), ("mariadb", "-p"), ("redis-cli", "-a"), ("docker", "login")),
     r"(?i)(?<![a-z])(?:sshpass\s++-p\s?+|(?:mysql|mariadb)[a-z-]*\s(?:[^\n|;]{0,200}\s)?-p|redis-cli\s(?:[^\n|;]{0,200}\s)?-a\s|docker\s+login\s(?:[^\n|;]{0,200}\s)?-p\s)[\"']?+"
     + _NO_SECRET + r"(?P<secret>[^\s\"']+)"),
    ("openssl", ("pass:",), r"(?i)(?<!\S)[\"']?-pass(?:in|out)?\s{1,4}+[\"']?pass:" + _NO_SECRET + r"(?P<secret>[^\s\"']+)"),
    ("token-header", ("-token:",), r"(?i)(?<![a-z0-9-])(?:private|job|deploy|x-[a-z-]{1,40})-token:\s{0,2}+" + _NO_SECRET + r"(?P<secret>[^\s\"'\\]{6,})"),
    ("netrc", ("password ", "password\t"), r"(?i)\blogin\s++\S++\s++password\s++" + _NO_SECRET + r"(?P<secret>\S+)"),
)  # fmt: skip

#: Ends of names (lower case, without separators) whose text values are secrets, in JSON objects, environments and options.
SECRET_NAMES = (*(name.replace("_", "") for name in _NAMED), "authorization", "cookie")
#: Those that with an `s` behind them stand for several.
SINGULAR_NAMES = tuple(name for name in SECRET_NAMES if name not in ("pass", "credentials", "secretkeybase", "authorization"))
#: Ends of names that look like those above, and are none.
HARMLESS_NAMES = (
    "bostoken",
    "eostoken",
    "padtoken",
    "unktoken",
    "septoken",
    "clstoken",
    "masktoken",
    "pertoken",
    "nexttoken",
    "pagetoken",
    "compass",
    "bypass",
)

#: Words of the names of variables that end in `_KEY` and hold nothing secret, but what all may know, or what is looked up by it.
HARMLESS_KEYS = frozenset((
    "public", "publishable", "pub", "gpg", "pgp", "host", "cache", "primary", "foreign", "sort", "partition", "object", "routing", "lookup", "unique", "index",
    "row", "group", "project", "plan", "job", "build", "issue", "run", "idempotency", "dedupe", "feature", "translation",
))  # fmt: skip
#: First folders of paths, which variables named after a secret often hold in its place.
ROOTS = frozenset((
    "app", "bin", "builds", "cache", "certs", "code", "config", "data", "dev", "etc", "github", "home", "keys", "lib", "library", "media", "mnt", "nix", "opt",
    "private", "proc", "root", "run", "secrets", "snap", "src", "srv", "sys", "system", "tmp", "users", "usr", "var", "vault", "volumes", "work", "workspace",
))  # fmt: skip

#: The texts that a secret's name can be seen by.
NAME_MARKS = ("pass", "pwd", "secret", "token", "key", "credential", "authorization", "cookie")
