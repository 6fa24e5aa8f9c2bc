"""What secrets look like: one row per rule, of literal marks and a pattern; and which rules may find something in a text.

A rule is looked at only where one of its marks stands in the text, so that text without any costs no regular expression. A mark
in lower case stands for any case; of a tuple, all must stand there.

Of a match, what its groups `secret`, `quoted`, `escaped` and `single` hold is redacted; without such groups, all of it.

Every pattern takes time linear in the text. Matching starts at each character anew, so a part that may run on (`[^\\s]*`) and
then fail is either bounded (`{0,64}+`), or excludes the text that the pattern starts with.
"""

from collections.abc import Callable

#: The texts that a secret's name can be seen by.
NAME_MARKS = ("pass", "pwd", "secret", "token", "key", "credential", "authorization", "cookie")
_PASSWORDS = ("password", "passwd", "passphrase", "pwd")
#: What stands before `key` where it is a secret.
_KINDS_OF_KEY = (
    "api", "access", "secret", "private", "signing", "encryption", "auth", "master", "account", "storage",
)  # fmt: skip
#: Last words of names whose values are secrets. `_` stands for any separator, or none.
_NAMED = (
    *_PASSWORDS, "pass", "secret", "token", *(f"{kind}_key" for kind in _KINDS_OF_KEY),
    "secret_key_base", "client_key_data", "credential", "credentials",
)  # fmt: skip
#: The same in text, more narrowly: `compass` and `bypass` end in `pass`, and `PWD=/home` holds a
#: directory. The first letters are classes, which the engine tests before it tries an alternative.
_WORDS = (
    r"(?:(?-i:[Pp])(?:ass(?:[_-]?word|wd|[_-]?phrase|(?<![a-z0-9]pass)|(?-i:(?<=[A-Z]PASS)(?<!BYPASS)(?<!COMPASS)))"
    r"|wd(?![\"'\\]{0,2}\s?[=:]\s?[\"'\\]?[/~]))"
    r"|(?-i:[Ss])ecret|(?-i:[Tt])oken|(?-i:[Cc])redentials?"
    rf"|(?-i:[Kk])ey(?:(?:{'|'.join(f'(?<={kind}key)|(?<={kind}[_-]key)' for kind in _KINDS_OF_KEY)})(?:[_-]?base)?"
    r"|(?<=client[_-]key)[_-]?data|(?<=clientkey)data))"
)
#: With the words before it: only where something must stand right before the whole name.
_NAME = rf"[a-z0-9_.-]{{0,64}}?{_WORDS}"
#: First directories of paths, which often take the place of the secret that they lead to.
ROOTS = frozenset((
    "app", "bin", "builds", "cache", "certs", "code", "config", "data", "dev", "etc", "github", "home", "keys", "lib", "library", "media", "mnt", "nix", "opt",
    "private", "proc", "root", "run", "secrets", "snap", "src", "srv", "sys", "system", "tmp", "users", "usr", "var", "vault", "volumes", "work", "workspace",
))  # fmt: skip
#: Where the whole value is a variable, it ends here.
_END_OF_VARIABLE = r"(?![^\s\"'`;&|<>)/:.,@\]}\\])"
#: What stands in the place of a secret without being one: a variable, a placeholder, a type, a path,
#: the address of a secret in a store, what was redacted before.
_NO_DATA = (
    rf"(?![\"']?(?:\$(?:[{{(]|(?-i:[A-Z_][A-Z0-9_]*+){_END_OF_VARIABLE})"
    r"|<|\{\{|%(?:[({]|[a-z]{1,2}(?![a-z0-9_%]))|\*{3}|\[(?:redacted\]|[a-z0-9_^-]{2,40}\][{+*])|\.\.\."
    r"|(?:null|none|true|false|yes|no|string|str|bytes|required|optional|undefined|missing|empty)\b"
    rf"|(?:os|process|env|self|args|config|settings|secrets)[.\[]"
    rf"|~/|\.\.?/|/(?:{'|'.join(sorted(ROOTS))})/|arn:|op://))"
)
#: The same in a shell, where `$x` is a variable too, if not between single quotes.
_NO_SECRET = (
    rf"(?!\"?\$(?:[a-z_][a-z0-9_]*+|[0-9@*#?!$-]){_END_OF_VARIABLE}|[\"']?%[a-z_][a-z0-9_]{{0,64}}+%)"
    + _NO_DATA
)
#: Words before `pass` in the names of counts: `samples_per_pass`.
COUNT_WORDS = ("per", "each", "first", "second", "third", "last")
#: Words before `token` that make it one of those by which somebody is let in, though it be a number.
KEY_WORDS = ("access", "api", "auth", "bearer", "otp", "refresh", "reset", "session")
#: After `token=` and `pass=`, a small number is a count; after `total_token=`, any number is.
_NO_COUNT = (
    r"(?!(?:(?:(?<=token=)|(?<=pass=))[0-9]{1,5}"
    rf"|(?:(?<=[a-z0-9]_token=){''.join(f'(?<!{word}_token=)' for word in KEY_WORDS)}|(?<=(?:{'|'.join(word[-3:] for word in COUNT_WORDS)})_pass=))[0-9]{{1,12}}+)(?:\.[0-9]{{1,17}}+)?+"
    r"(?![^\s,;)&\"']))"
)
#: A text in quotes, with what is escaped in it: in JSON, and in JSON that is a text in JSON.
_QUOTED = r"\\\"(?P<escaped>(?:[^\"\\\r\n]|\\\\(?:\\\")?|\\(?![\"\\]))++)|\"(?P<quoted>(?:[^\"\\\r\n]|\\[^\r\n])++)|'(?P<single>[^'\r\n]++)"
_VALUE = rf"(?:{_QUOTED}|(?P<secret>[^\s\"'`;&|<>)\x1b]+))"
#: A quotation mark, which may be escaped.
_QUOTE = r"\\{0,3}[\"']"
#: The colon between a key and its value, in JSON or in YAML's braces.
_PAIRED = r"\s{0,4}+:\s{0,4}+"
#: A text without quotes between YAML's braces.
_FLOW = r"(?P<secret>(?![\"'\\\[\]])[^\s,{}]++(?:[ \t]++[^\s,{}]++)*+)"
#: The end of a line of YAML, maybe with a comment.
_END_OF_LINE = r"[ \t]{0,4}+(?:#[^\r\n]{0,200}+)?\r?\n"
#: A digit and a letter among the next characters: words of prose have no digit.
_DIGIT = r"(?=[^\s\"'0-9]{0,64}+[0-9])"
_LETTER = r"(?=[^\s\"'a-z]{0,64}+[a-z])"
#: Four characters of base64 that stand for three of ASCII.
_BASE64_OF_ASCII = r"[I-Za-f][C-HS-Xi-ny-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/]"
#: A block of YAML: what is further to the right, after `|` or `>`.
_BLOCK = (
    rf"[|>][+-]?[0-9]?[+-]?{_END_OF_LINE}(?:[ \t]{{0,80}}+\r?\n){{0,3}}+(?P<indent>[ \t]{{1,80}}+){_NO_DATA}"
    r"(?P<block>[^\s][^\n]*(?:\n(?P=indent)[^\n]*)*+)"
)
#: Colours of a terminal around names and values.
_COLOUR = r"(?:\x1b\[[0-9;]{0,20}m)*+"
#: What follows an option's name in a sentence about it.
_PROSE_WORDS = (
    r"(?:to|is|for|or|and|must|option|options|flag|argument|in|with|was|requires?|required|needs?|cannot|can|not|has|have|if|when|instead|as|on|by|from|are"
    r"|should|will|may|value|parameter|the|a|an|that|which|does|could|isn't|wasn't)\b"
)
_PROSE = rf"(?!{_PROSE_WORDS})"
_KEYS = (
    "key", "keybase", "key_base", "key-base", "keydata", "key-data", "key_data", "token", "secret",
    "credential", "pass", "pass_word", "pass-word", "pass_phrase", "pass-phrase", *_PASSWORDS,
)  # fmt: skip
#: First words of options that take no value: `--ask-pass`, `--no-password`.
FLAG_WORDS = (
    "no", "ask", "prompt", "skip", "show", "hide", "print", "mask", "allow", "disable", "enable", "force", "require",
    "generate", "rotate", "with", "without",
)  # fmt: skip


def _with(words: tuple[str, ...], *endings: str) -> tuple[str, ...]:
    return tuple(word + ending for word in words for ending in endings)


def _arguments(command: str, most: int) -> str:
    """Match as few arguments of a command as possible, at most to where the same command begins again."""
    return rf"(?:(?!(?<![a-z]){command})[^\n|;]){{0,{most}}}?"


def _password_without(characters: str) -> str:
    """Match the password of a URL, which may hold `@`, but neither `://` nor any of `characters`."""
    part = rf"(?:[^\s\"'<>:@{characters}]++|:(?!//))*+"
    return rf"{part}(?:@(?={part}@){part})*+"


_CURL = r"(?:curl|wget|https?|xhs?)\s"
_CLIENT = r"(?:mysql|mariadb)[a-z-]{0,16}+\s"

#: A literal text, or several that all must stand there.
Mark = str | tuple[str, ...]
#: (name, marks, pattern). Patterns ignore case only where they say so.
Rule = tuple[str, tuple[Mark, ...], str]
#: Secrets that are known by their own shape. None is shorter than this.
SHORTEST_TOKEN = 19
TOKENS: tuple[Rule, ...] = (
    # Keys as blocks; of one whose beginning was cut off, everything before its end.
    (
        "private-key",
        ("PRIVATE KEY",),
        r"(?s)----[- ]BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?[- ]----.*?(?:----[- ]END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?[- ]----|\Z)",
    ),
    (
        "private-key-end",
        ("PRIVATE KEY",),
        # Headers hold dashes: DEK-Info: AES-128-CBC.
        r"(?s)\A(?!\[redacted\]-----END)(?P<secret>(?:(?!-----BEGIN ).)+?)-----END [A-Z0-9 ]{0,40}PRIVATE KEY",
    ),
    # In base64, as in a kubeconfig: PRIVATE, RSA, EC, OPENSSH, ENCRYPTED, DSA or PGP behind the dashes, and no certificate.
    (
        "private-key-base64",
        ("LS0tLS1CRUdJTi",),
        r"LS0tLS1CRUdJTi(?:BQUklW|BSU0EgUFJJ|BFQyBQUklW|BPUEVOU1NI|BFTkNSWVBU|BEU0EgUFJJ|BQR1AgUFJJ)[A-Za-z0-9+/]{16,}={0,2}",
    ),
    ("putty-key", ("Private-Lines:",), r"Private-Lines: [0-9]{1,4}(?:\r?\n|\\{1,2}n)(?P<secret>[A-Za-z0-9+/]{4,}+={0,2}(?:(?:\r?\n|\\{1,2}n)[A-Za-z0-9+/]{4,}+={0,2}(?![\w-]))*+)"),
    ("docker-config", ("eyJhdXRocyI6", "ewoJImF1dGhz"), r"(?:eyJhdXRocyI6|ewoJImF1dGhz)[A-Za-z0-9+/]{16,}={0,2}"),
    ("age-key", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[0-9A-Z]{40,}"),
    # Clouds.
    ("aws-access-key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"(?<![A-Za-z0-9])(?:AKIA|A(?:SIA|BIA|CCA)(?=[A-Z]{0,15}[2-7]))[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("aws-bedrock", ("ABSK",), r"(?<![A-Za-z0-9])ABSK[A-Za-z0-9+/]{100,}={0,2}"),
    ("google-api-key", ("AIza",), r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{35}"),
    ("google-oauth", ("ya29.", "GOCSPX-", "1//0"), r"(?<![A-Za-z0-9])(?:ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{20,}|1//0[0-9A-Za-z_-]{40,})"),
    ("azure-secret", ("8Q~",), r"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    ("azure-sas", ("sig=",), r"(?i)[?&;]sig=(?P<secret>[a-z0-9%/+=]{30,})"),
    ("digitalocean", ("_v1_",), r"do[opr]_v1_[0-9a-f]{64}"),
    ("databricks", ("dapi",), r"(?<![A-Za-z0-9])dapi[0-9a-f]{32}"),
    ("alibaba", ("LTAI",), r"(?<![A-Za-z0-9])LTAI(?=[A-Za-z]{0,19}[0-9])[A-Za-z0-9]{16,24}(?![A-Za-z0-9])"),
    ("tencent", ("AKID",), r"(?<![A-Za-z0-9])AKID(?=[A-Za-z]{0,31}[0-9])[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    ("yandex", ("AQVN", "y0_"), r"(?<![A-Za-z0-9])(?:AQVN[A-Za-z0-9_-]{35,}|y0_[A-Za-z0-9_-]{50,})"),
    ("cloudflare-origin", ("v1.0-",), r"(?<![A-Za-z0-9])v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"),
    ("fly", ("fo1_", "fm1a_", "fm1r_", "fm2_"), r"(?<![A-Za-z0-9])(?:fo1_[A-Za-z0-9_-]{43}|fm(?:1[ar]|2)_[A-Za-z0-9+/]{80,}={0,3})"),
    ("netlify", ("nfp_",), r"(?<![A-Za-z0-9])nfp_[A-Za-z0-9]{36,}"),
    ("neon", ("napi_",), r"(?<![A-Za-z0-9])napi_[a-z0-9]{60,}"),
    ("heroku", ("HRKU-",), r"(?<![A-Za-z0-9])HRKU-[A-Za-z0-9_-]{36,}"),
    ("openshift", ("sha256~",), r"(?<![A-Za-z0-9])sha256~[A-Za-z0-9_-]{43}"),
    ("doppler", ("dp.",), r"(?<![A-Za-z0-9])dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{1,40}\.)?[A-Za-z0-9]{40,}"),
    ("dynatrace", ("dt0",), r"(?<![A-Za-z0-9])dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    ("pulumi", ("pul-",), r"(?<![A-Za-z0-9])pul-[0-9a-f]{40}"),
    ("prefect", ("pnu_",), r"(?<![A-Za-z0-9])pnu_[A-Za-z0-9]{36}"),
    ("hashicorp", ("hvs.", "hvb.", "hvr.", ".atlasv1."), r"(?<![A-Za-z0-9])(?:hv[sbr]\.[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,})"),
    # Forges and package registries.
    ("github", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"), r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9_]{30,255}|github_pat_[A-Za-z0-9_]{22,255})"),
    ("gitlab", ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-", "glsoat-", "glffct-", "glwt-", "GR1348941"),
     r"(?<![A-Za-z0-9])(?:gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct|wt)-|GR1348941)[A-Za-z0-9_.-]{18,}"),
    ("atlassian", ("ATATT3", "ATCTT3", "ATBB"), r"(?<![A-Za-z0-9])(?:AT[AC]TT3[A-Za-z0-9_=-]{60,}|ATBB[A-Za-z0-9]{24,})"),
    ("npm", ("npm_",), r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}"),
    ("nuget", ("oy2",), r"(?<![A-Za-z0-9])oy2[a-z0-9]{43}(?![A-Za-z0-9])"),
    ("clojars", ("CLOJARS_",), r"(?i)CLOJARS_[a-z0-9]{60}"),
    ("artifactory", ("AKCp", "cmVmdGtu"), r"(?<![A-Za-z0-9])(?:AKCp[A-Za-z0-9]{69,}|cmVmdGtu[A-Za-z0-9]{56})"),
    ("sonar", ("squ_", "sqp_", "sqa_"), r"(?<![A-Za-z0-9])sq[upa]_[0-9a-f]{40}"),
    ("octopus", ("API-",), r"(?<![A-Za-z0-9])API-(?=[A-Z]{0,25}[0-9])[A-Z0-9]{26,}(?![A-Za-z0-9])"),
    ("pypi", ("pypi-Ag",), r"(?<![A-Za-z0-9])pypi-Ag[A-Za-z0-9_-]{50,}"),
    ("rubygems", ("rubygems_",), r"rubygems_[0-9a-f]{48}"),
    ("docker", ("dckr_",), r"dckr_[po]at_[A-Za-z0-9_-]{20,}"),
    ("buildkite", ("bkua_",), r"bkua_[0-9a-f]{40}"),
    ("circleci", ("CCIPAT_", "CCIPRJ_"), r"CCIP(?:AT|RJ)_[A-Za-z0-9_]{30,}"),
    # Services.
    ("slack", ("xox", "xapp-"),
     r"(?<![A-Za-z0-9])(?:xox(?:[abceoprs](?:\.xox[bp])?-(?=[A-Za-z-]{0,40}+[0-9])[A-Za-z0-9-]{14,}|d-[A-Za-z0-9%/+_-]{20,}={0,2})|xapp-[0-9]-[A-Za-z0-9-]{20,})"),
    ("slack-webhook", ("hooks.slack.com/",), r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9/_+-]{20,})"),
    ("teams-webhook", (".webhook.office.com/",), r"\.webhook\.office\.com/webhookb2/(?P<secret>[A-Za-z0-9@/_-]{40,})"),
    ("discord-webhook", ("/api/webhooks/",), r"/api/webhooks/[0-9]{15,21}/(?P<secret>[A-Za-z0-9_-]{40,})"),
    ("stripe", ("k_live_", "k_test_", "whsec_"), r"(?<![A-Za-z0-9])(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,})"),
    ("model-key", ("sk-",), r"(?<![A-Za-z0-9-])sk-(?:(?:ant|proj|svcacct|admin|or|lf|None)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{32,})"),
    ("model-provider", ("gsk_", "xai-", "nvapi-", "pplx-", "r8_", "lsv2_", "fw_", "sk-", "_v1_", "tvly-", "pcsk_"),
     (r"(?<![A-Za-z0-9])(?:gsk_[A-Za-z0-9]{48,}|xai-[A-Za-z0-9]{70,}|nvapi-[A-Za-z0-9_-]{60,}|pplx-[A-Za-z0-9]{48,}|r8_[A-Za-z0-9]{37}"
     r"|lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}|fw_(?=[A-Za-z]{0,23}[0-9])[A-Za-z0-9]{22,}(?![A-Za-z0-9_])|csk-[a-z0-9A-Z]{40,}"
     r"|tgp_v1_[A-Za-z0-9_-]{40,}|tvly-(?:dev-|prod-)?[A-Za-z0-9]{30,}|pcsk_[A-Za-z0-9_]{50,})")),
    ("huggingface", ("hf_",), r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}"),
    ("sendgrid", ("SG.",), r"(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("twilio", ("SK",), r"(?<![A-Za-z0-9])SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("mailgun", ("key-",), r"(?<![A-Za-z0-9-])key-[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("telegram", (":AA",), r"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{32,33}(?![A-Za-z0-9_-])"),
    ("square", ("sq0",), r"(?<![A-Za-z0-9])sq0[a-z]{3}-[A-Za-z0-9_-]{22,}"),
    ("facebook", ("EAA",), r"(?<![A-Za-z0-9])EAA(?=[A-Za-z]{0,60}[0-9])[A-Za-z0-9_-]{60,}"),
    ("brevo", ("xkeysib-",), r"xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    ("shippo", ("shippo_",), r"shippo_(?:live|test)_[0-9a-f]{40}"),
    ("plaid", ("access-",), r"access-(?:sandbox|development|production)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ("hubspot", ("pat-",), r"(?<![A-Za-z0-9])pat-(?:na|eu|ap)[0-9]-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ("figma", ("figd_",), r"(?<![A-Za-z0-9])figd_[A-Za-z0-9_-]{36,}"),
    ("contentful", ("CFPAT-",), r"CFPAT-[A-Za-z0-9_-]{43}"),
    ("typeform", ("tfp_",), r"(?<![A-Za-z0-9])tfp_[A-Za-z0-9_-]{40,}"),
    ("1password", ("ops_eyJ",), r"(?<![A-Za-z0-9])ops_eyJ[A-Za-z0-9+/_-]{100,}={0,3}"),
    ("mapbox", ("sk.eyJ",), r"(?<![A-Za-z0-9])sk\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{16,}"),
    ("shopify", ("shp",), r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("linear", ("lin_api_",), r"lin_api_[A-Za-z0-9]{40}"),
    ("grafana", ("glsa_", "glc_ey"), r"(?<![A-Za-z0-9])(?:glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_ey[A-Za-z0-9+/=]{30,})"),
    ("new-relic", ("NRAK-",), r"NRAK-[A-Z0-9]{27}"),
    ("sentry", ("sntry",), r"sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    ("planetscale", ("pscale_",), r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{30,}"),
    ("tailscale", ("tskey-",), r"tskey-[a-z]+-[A-Za-z0-9-]{16,}"),
    ("postman", ("PMAK-",), r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("notion", ("ntn_",), r"(?<![A-Za-z0-9])ntn_[A-Za-z0-9]{40,}"),
    ("supabase", ("sbp_", "sb_secret_"), r"(?<![A-Za-z0-9])(?:sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{22,})"),
    ("jwt", ("eyJ",), r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),
)  # fmt: skip
#: Secrets that are known by what stands around them.
PHRASES: tuple[Rule, ...] = (
    # URLs and headers.
    ("url-credentials", (("://", "@"),),
     # After a colon a port may stand, or the tag of an image, of which an @ says nothing.
     (r"(?i)://(?<=[a-z0-9+.-]{2}://)(?!\[redacted\]@)(?P<secret>[^\s/:@\"'<>?#\[]{0,256}+:(?!//|@)"
     rf"(?:(?![0-9]{{1,5}}/){_password_without('?#')}|(?![0-9]{{1,5}}[?#]){_password_without('/')}))@(?!sha256:)")),
    ("url-token", (("://", "@"),),
     r"(?i)://(?:(?<=http://)|(?<=https://)|(?<=git://)|(?<=ftp://)|(?<=ftps://))(?!\[redacted\]@|(?:git|anonymous)@)(?P<secret>[^\s/:@\"'<>?#]++)@"),
    ("url-query", ("sig=", "key=", "auth=", "signature=", "jwt=", "-token=", "-credential="),
     (r"(?i)[?&](?:key|sig|jwt|auth(?==[^&\s\"'#0-9]{0,64}+[0-9])|signature|x-(?:amz|goog)-(?:signature|credential|security-token))="
     r"(?!\[redacted\])(?P<secret>[^&\s\"'#]{8,})")),
    ("authorization", ("authorization",),
     r"(?i)authorization[\"'\\]{0,4}+\s{0,2}+[:=]\s{0,2}+[\"'\\]{0,4}+(?:(?:bearer|basic|token|digest|negotiate|apikey|aws4-hmac-sha256)\s++" + _NO_SECRET
     + rf"(?P<quoted>[^\r\n\"'\\]+)|{_NO_SECRET}{_DIGIT}(?P<secret>[^\s\"'\\]{{8,}}))"),
    ("bearer", ("bearer",), r"(?i)(?<![a-z])bearer\s+(?=[a-z._~+/-]*[0-9])(?P<secret>[a-z0-9._~+/-]{12,}=*)"),
    ("cookie", ("cookie:", "cookie\"", "cookie\\"),
     r"(?i)(?<![a-z])(?:set-)?cookie[\"'\\]{0,4}+\s{0,2}+:\s{0,2}+[\"'\\]{0,4}+" + _NO_SECRET + r"(?P<secret>(?=[^\r\n\"'=]{0,128}+=)[^\r\n\"'\\]{4,})"),
    # Logins in the settings of docker and npm: base64 of `user:password`.
    ("login", ("auth\"", "auth'", "auth\\", "auth=", "auth:", ("_auth", " ="), "authident"),
     (rf"(?i)(?<![a-z0-9])(?:_?auth|npm_?auth_?ident){_QUOTE}?\s{{0,4}}+[:=]\s{{0,4}}+(?:{_QUOTE})?"
     rf"(?-i:(?=(?:{_BASE64_OF_ASCII}){{3}})(?P<secret>[A-Za-z0-9+/]{{12,}}+={{0,2}}))(?![\w-])")),
    # Names that say what follows.
    ("assignment", _with(_KEYS, "=", "s=", "\"=", "'=", "\x1b"), rf"(?i){_WORDS}[\"'\\]{{0,2}}+{_COLOUR}={_COLOUR}{_NO_SECRET}{_NO_COUNT}(?!(?<=--secret=)(?:id|type)=[a-z]){_VALUE}"),
    ("assignment-spaced", tuple((word, " =") for word in NAME_MARKS),
     # Subscripts, and the types of Python and TypeScript, stand only before what is quoted.
     (rf"(?i){_WORDS}(?:[\"']?\s{{1,20}}+=\s{{0,20}}+|(?:[\"']?\]\s{{0,20}}+|:[a-z_.\[\]| ]{{1,40}}+)=\s{{0,4}}+(?=[\"']))"
      rf"(?:\"{{3}}\s{{0,4}}+{_NO_SECRET}(?P<long>[^\"]+)|{_NO_SECRET}(?:{_QUOTED}|{_DIGIT}(?P<secret>[^\s\"'().\[\]{{}},;]{{6,}}+)(?=\s|$)))")),
    # What a variable of Terraform is where nobody gives it another value.
    ("default", tuple((word, "variable", "default") for word in NAME_MARKS),
     rf"(?i)variable\s{{1,4}}+\"{_NAME}\"\s{{1,4}}+\{{[^{{}}]{{0,400}}?\sdefault\s{{1,20}}+=\s{{1,4}}+{_NO_SECRET}\"(?P<secret>[^\"\r\n]++)"),
    ("set-variable", tuple((word, command) for command in ("setx", "setenv", "putenv", "environmentvariable", "env ", "set -") for word in NAME_MARKS),
     (rf"(?i)(?<![\w.-])(?:(?:setx|setenv|(?-i:ENV)|set\s-[a-z]{{1,3}})\s{{1,4}}+(?:/m\s{{1,4}}+)?{_NAME}\s{{1,4}}+(?!=|/m\b)|(?:setenv|putenv|set|SetEnvironmentVariable)\([\"']{_NAME}[\"'],\s{{0,4}}+(?=[\"']))"
      rf"{_NO_SECRET}(?:{_QUOTED}|(?P<secret>[^\s\"'()]+))")),
    ("secure-string", ("convertto-securestring",),
     rf"(?i)convertto-securestring\s{{1,4}}+(?:-string\s{{1,4}}+)?(?!-){_NO_SECRET}(?:{_QUOTED}|(?P<secret>[^\s\"'()|;]+))"),
    ("json-pair", _with(_KEYS, "\"", "'", "s\"", "s'", "\\"), rf"(?i)[\"']{_NAME}\\?[\"']{_COLOUR}\s{{0,4}}+(?::{_COLOUR}\s{{0,4}}+{_COLOUR}{_NO_DATA}|=>{_COLOUR}\s{{0,4}}+{_COLOUR}{_NO_SECRET})(?:{_QUOTED})"),
    # Environments as Kubernetes, ECS and GitLab write them, in JSON, and in YAML in braces or in lines.
    ("named-value", tuple((word, "value") for word in NAME_MARKS),
     rf"(?i)(?:{_QUOTE}|[{{,]\s{{0,4}}+)(?:name|key)(?:{_QUOTE})?{_PAIRED}(?:{_QUOTE})?{_NAME}(?:{_QUOTE})?\s{{0,4}}+,[^{{}}]{{0,200}}?(?<![a-z0-9_-])value(?:{_QUOTE})?{_PAIRED}{_NO_DATA}(?:{_QUOTED}|{_FLOW})"),
    ("value-named", tuple((word, "value") for word in NAME_MARKS),
     (rf"(?i)(?:(?:{_QUOTE}|[{{,]\s{{0,4}}+)value(?:{_QUOTE})?{_PAIRED}{_NO_DATA}{_QUOTE}(?P<quoted>[^\"'\\\r\n]++){_QUOTE}|[{{,]\s{{0,4}}+value{_PAIRED}{_NO_DATA}{_FLOW})\s{{0,4}}+,"
      rf"[^{{}}]{{0,200}}?(?<![a-z0-9_-])(?:name|key)(?:{_QUOTE})?{_PAIRED}(?:{_QUOTE})?{_NAME}(?:{_QUOTE})?(?=\s{{0,80}}+[,}}])")),
    ("named-value-yaml", tuple((word, "value:") for word in NAME_MARKS),
     (rf"(?i)(?:name|key):[ \t]{{1,4}}+[\"']?{_NAME}[\"']?{_END_OF_LINE}(?:[ \t]{{1,80}}+(?!-[ \t]|value:)[^\r\n]{{0,120}}+\r?\n){{0,3}}+"
      rf"[ \t]{{0,80}}+value:[ \t]{{1,4}}+(?:{_BLOCK}|{_NO_DATA}(?:{_QUOTED}|(?P<secret>[^\s\"'|>][^\r\n]*)))")),
    ("value-named-yaml", tuple((word, "value:", "\n") for word in NAME_MARKS),
     rf"(?i)(?<![a-z0-9_-])value:[ \t]{{1,4}}+{_NO_DATA}(?:{_QUOTED}|(?P<secret>[^\s\"'|>{{\[][^\r\n:]*+))[\"']?{_END_OF_LINE}[ \t]{{1,80}}+(?:name|key):[ \t]{{1,4}}+[\"']?{_NAME}[\"']?[ \t]{{0,4}}+(?![^\r\n#])"),
    ("yaml-block", tuple((word, ":", mark) for word in NAME_MARKS for mark in ("|", ">")),
     rf"(?i){_WORDS}[\"']?:[ \t]{{0,4}}+(?:[&!][^\s]{{1,40}}+[ \t]{{1,4}}+){{0,2}}+{_BLOCK}"),
    # An anchor or a type, and any scalar: `&mut` and `&dyn` are Rust's.
    ("yaml-anchor", (*((word, ":", "&") for word in NAME_MARKS), *((word, ":", "!!") for word in NAME_MARKS)),
     rf"(?i){_WORDS}[\"']?:[ \t]{{1,4}}+(?P<secret>(?:(?:&(?!(?:mut|dyn|impl|const|str|self)\b)[a-z0-9_-]{{1,40}}+|!![a-z]{{2,10}}+)[ \t]{{1,4}}+){{1,2}}+{_NO_DATA}(?:\"[^\"\r\n]++\"|'[^'\r\n]++'|[^\s\"'|>{{\[&#]+(?<![,}}])))(?![^\s,}}])"),
    # A name alone in its line, and a word alone in the next one, further to the right.
    ("yaml-next-line", tuple((word, ":", "\n") for word in NAME_MARKS),
     (rf"(?i)(?<![^\n])(?P<before>[ \t]{{0,80}}+)(?:-[ \t]{{1,4}}+)?[\"']?{_NAME}[\"']?:{_END_OF_LINE}(?P=before) {{1,80}}+{_NO_DATA}"
      r"(?:\"(?P<quoted>[^\"\r\n]++)\"|'(?P<single>[^'\r\n]++)'|(?P<secret>[^\s\"'|>{}\[\]()<&!#-][^\s:()]{3,}+))[ \t\r]{0,4}+(?![^\n])(?!\n(?P=before)[ \t])")),
    # Quoted words without a digit, behind names that stand for nothing else.
    ("quoted-line", _with(("key", "token", "secret"), ":"),
     (rf"(?i)(?<![a-z0-9])(?:(?:{'|'.join(_KINDS_OF_KEY)})[_-]?key|(?:{'|'.join(KEY_WORDS)})[_-]?token|[a-z0-9]{{1,40}}[_-]secret|clientsecret):[ \t]{{1,4}}+{_NO_DATA}"
      r"(?![\"'](?:invalid|expired|incorrect|wrong|unknown|denied|disabled|enabled|rejected|revoked)\b|[\"'][a-z0-9_.]{0,64}(?:key|secret|token|str)[\"'])"
      r"(?:\"(?P<quoted>[^\s\"\\]{6,})\"|'(?P<single>[^\s'\\]{6,})')(?=[ \t]{0,4}+(?:[\r\n#}]|$))")),
    ("symbol-pair", tuple((word, "=>") for word in NAME_MARKS), rf"(?i)(?<![a-z0-9:]):{_NAME}\s{{0,4}}+=>\s{{0,4}}+{_NO_SECRET}(?:{_QUOTED})"),
    ("element", tuple((word, "</") for word in NAME_MARKS), rf"(?i)<(?:[a-z0-9_]{{1,40}}:)?{_NAME}(?:\s[^<>]{{0,200}})?>(?:<!\[CDATA\[{_NO_DATA}(?P<quoted>[^<>\]]++)|(?![0-9]{{1,5}}<){_NO_SECRET}(?P<secret>[^<>]+)</)"),
    ("element-pair", tuple((word, "</") for word in NAME_MARKS),
     rf"(?i)<(?P<name>name|key)>\s{{0,4}}+{_NAME}\s{{0,4}}+</(?P=name)>\s{{0,80}}+<(?:value|string)>(?![0-9]{{1,5}}<){_NO_SECRET}(?P<secret>[^<>]+)</"),
    ("attributes", (*((word, "value=") for word in NAME_MARKS), *((word, name, "</") for name in ("name=", "key=") for word in NAME_MARKS)),
     (rf"(?i)\s(?:(?:name|key)=[\"']{_NAME}[\"'](?:[^<>]{{0,200}}?\svalue=[\"'](?![0-9]{{1,5}}[\"']){_NO_DATA}(?P<secret>[^\"'<>]++)|[^<>]{{0,200}}+>(?![0-9]{{1,5}}<){_NO_DATA}(?P<quoted>[^<>]+)</)"
      rf"|value=[\"'](?![0-9]{{1,5}}[\"']){_NO_DATA}(?P<single>[^\"'<>]++)[\"'][^<>]{{0,200}}?\s(?:name|key)=[\"']{_NAME}[\"'])")),
    ("password-line", _with((*_PASSWORDS, "_pass", "-pass"), ":", "\x1b"),
     (rf"(?i)(?<![a-z0-9_./-])[a-z0-9_.-]{{0,64}}?(?:pass(?:word|wd|phrase)|pwd|(?<=[_-])pass(?!:\s?[0-9.,/%]{{1,20}}+(?:\s|$))){_COLOUR}:{_COLOUR}(?!\s?[\"']?[/~])[ \t]{{0,4}}+{_COLOUR}{_NO_DATA}{_PROSE}"
      rf"(?:(?![\"']{_PROSE_WORDS})(?:{_QUOTED})\\?[\"']|(?P<secret>(?=[a-z]*+[^\s\"'a-z])(?=[^\s\"'0-9!@#$%^&*+=?~]{{0,64}}+[0-9!@#$%^&*+=?~])[^\s\"'\x1b]{{4,}}))")),
    # Not the name of a secret in Amazon's store: arn:aws:secretsmanager:…:secret:name.
    ("secret-line", _with(("key", "keydata", "key-data", "key_data", "token", "secret"), ":", "\x1b"),
     rf"(?i){_WORDS}(?<!:secret){_COLOUR}:{_COLOUR}[ \t]{{0,4}}+{_COLOUR}{_NO_DATA}[\"']?+{_DIGIT}{_LETTER}(?P<secret>[^\s\"',;(){{}}<>\x1b]{{8,}})"),
    ("option", _with(_KEYS, " ", "s ", "\t", "\x1f", "s\x1f"),
     rf"(?i)(?<![\w.-])--?+(?!(?:{'|'.join(FLAG_WORDS)})-){_NAME}\s{{1,4}}+(?!--|-\w?(?:\s|$)|[\"']?pass:|(?:(?<=token\s)|(?<=pass\s))[0-9]{{1,5}}(?:\s|$)|(?<=secret\s)[\"']?(?:id|type)=[a-z]){_NO_SECRET}[\"']?+{_PROSE}(?P<secret>[^\s\"']+)"),
    # Short options may stand together: -fsSu ada:…
    ("curl-user", (("curl", " -"), ("curl", "\x1f-"), ("wget", "-"), ("http", "--auth"), ("http", " -a"), ("http", "\x1f-a"), ("xh", "--auth"), ("xh", " -a"), ("xh", "\x1f-a")),
     rf"(?i)(?<![a-z]){_CURL}{_arguments(_CURL, 400)}(?<=\s)(?:-[a-z0-9#]{{0,12}}?u|-a|--user|--proxy-user|--auth)[\s=]?+[\"']?+[^\s:\"'/]{{1,64}}+:" + _NO_SECRET
     + r"(?P<secret>[^\s\"']+)"),
    ("short-option", (("mysql", "-p"), ("mariadb", "-p"), ("redis-cli", "-a"), ("docker", "login"), "sshpass"),
     rf"(?i)(?<![a-z])(?:sshpass\s{{1,4}}+-p\s?+|{_CLIENT}{_arguments(_CLIENT, 200)}(?<=\s)-p|redis-cli\s{_arguments(r'redis-cli', 200)}(?<=\s)-a\s"
     rf"|docker\s{{1,4}}+login\s{_arguments('docker', 200)}(?<=\s)-p\s)[\"']?+" + _NO_SECRET + r"(?P<secret>[^\s\"']+)"),
    ("openssl", ("pass:",), r"(?i)(?<!\S)[\"']?-pass(?:in|out)?\s{1,4}+[\"']?pass:" + _NO_SECRET + r"(?P<secret>[^\s\"']+)"),
    ("token-header", ("-token:",), r"(?i)(?<![a-z0-9-])(?:private|job|deploy|x-[a-z-]{1,40})-token:\s{0,2}+" + _NO_SECRET + r"(?P<secret>[^\s\"'\\]{6,})"),
    ("netrc", ("password ", "password\t"), r"(?i)\b(?:login\s++\S++\s++(?:account\s++\S++\s++)?password\s++|machine\s++\S++\s++password\s++(?=\S++\s++login\s))" + _NO_SECRET + r"(?P<secret>\S+)"),
)  # fmt: skip

RULES = (*TOKENS, *PHRASES)

#: Ends of names (lower case, without separators) whose text values are secrets, in JSON objects, environments and options.
SECRET_NAMES = (*(name.replace("_", "") for name in _NAMED), "authorization", "cookie")
#: Those that with an `s` behind them stand for several.
_ONLY_SINGULAR = ("pass", "credentials", "secretkeybase", "authorization")
SINGULAR_NAMES = tuple(name for name in SECRET_NAMES if name not in _ONLY_SINGULAR)
#: Ends of names that look like those above, and are none.
HARMLESS_NAMES = (
    "bostoken", "eostoken", "padtoken", "unktoken", "septoken", "clstoken", "masktoken", "pertoken",
    "nexttoken", "pagetoken", "compass", "bypass",
)  # fmt: skip

#: Words of the names of variables that end in `_KEY` and hold nothing secret, but what all may know, or what is looked up by it.
HARMLESS_KEYS = frozenset((
    "public", "publishable", "pub", "gpg", "pgp", "host", "cache", "primary", "foreign", "sort", "partition", "object", "routing", "lookup", "unique", "index",
    "row", "group", "project", "plan", "job", "build", "issue", "run", "idempotency", "dedupe", "feature", "translation",
))  # fmt: skip
#: Keys of JSON under which a login stands: base64 of `user:password`.
AUTH_NAMES = ("auth", "_auth", "npmAuthIdent")

# Which rules may find something in a text


def _signs_of(rules: tuple[Rule, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The first parts of all marks, in lower case and others. Of a rule whose first mark holds one of NAME_MARKS, all do: these stand for them."""
    signs: set[str] = set()
    for _, marks, _ in rules:
        for mark in marks:
            sign = mark if isinstance(mark, str) else mark[0]
            if not _holds_name(sign):
                signs.add(sign)
            elif mark is marks[0]:
                break
    return tuple(sorted(sign for sign in signs if sign == sign.lower())), tuple(
        sorted(sign for sign in signs if sign != sign.lower())
    )


def _holds_name(sign: str) -> bool:
    lower = sign.lower()
    for name in NAME_MARKS:  # noqa: SIM110 - a generator takes twice the time, and each start of a process pays it
        if name in lower:
            return True
    return False


#: What is looked for in any text (all of it in lower case), and what in one that a token finds room in.
_IN_SHORT = (*NAME_MARKS, *_signs_of(PHRASES)[0])
_OF_TOKENS = _signs_of(TOKENS)
_IN_LONG = ((*_IN_SHORT, *_OF_TOKENS[0]), _OF_TOKENS[1])
#: After so many texts, compile one pattern of all signs: a single record has far fewer.
_FEW = 500


_Search = Callable[[str], object]


class Signs:
    """The rules that may find something in a text, in far less time than by asking each."""

    def __init__(self) -> None:
        self._asked = 0
        self._patterns: dict[bool, tuple[_Search, _Search | None]] = {}
        self._told: dict[str, list[tuple[int, list[Mark]]]] = {}

    def stand_in(self, text: str, lower: str) -> bool:
        """Tell whether any sign does; `lower` is the text in lower case."""
        is_long = len(text) >= SHORTEST_TOKEN
        if self._patterns:
            in_lower, exactly = self._patterns[is_long]
            return bool(in_lower(lower) or (exactly and exactly(text)))
        self._asked += 1
        if self._asked > _FEW:
            self._patterns = {
                False: (_search(_IN_SHORT), None),
                True: (_search(_IN_LONG[0]), _search(_IN_LONG[1])),
            }
        folded, exact = _IN_LONG if is_long else (_IN_SHORT, ())
        return any(map(lower.__contains__, folded)) or any(map(text.__contains__, exact))

    def rules(self, text: str) -> list[Rule]:
        """The rules one of whose marks stands in a text, in order."""
        lower = text.lower()
        if not self.stand_in(text, lower):
            return []
        folded, exact = _IN_LONG
        signs = [sign for sign in folded if sign in lower]
        signs += [sign for sign in exact if sign in text]
        places = {
            place
            for sign in signs
            for place, marks in self._rules_of(sign)
            if any(_stands(mark, text, lower) for mark in marks)
        }
        return [RULES[place] for place in sorted(places)]

    def _rules_of(self, sign: str) -> list[tuple[int, list[Mark]]]:
        """The places of the rules that a sign tells of, and those of their marks that hold it."""
        if sign not in self._told:
            lower = sign.lower()
            found = []
            for place, (_, marks, _) in enumerate(RULES):
                firsts = (mark if isinstance(mark, str) else mark[0] for mark in marks)
                pairs = zip(marks, firsts, strict=True)
                holding = [mark for mark, first in pairs if lower in first.lower()]
                if holding:
                    found.append((place, holding))
            self._told[sign] = found
        return self._told[sign]


def _stands(mark: Mark, text: str, lower: str) -> bool:
    """Tell whether a mark stands in a text; `lower` is the same in lower case."""
    if isinstance(mark, tuple):
        return all(_stands(part, text, lower) for part in mark)
    return mark in (lower if mark == mark.lower() else text)


def _search(signs: tuple[str, ...]) -> _Search:
    """A search for any of these, by their first letters."""
    import re

    rest: dict[str, list[str]] = {}
    for sign in signs:
        rest.setdefault(re.escape(sign[0]), []).append(re.escape(sign[1:]))
    return re.compile(
        "|".join(f"{first}(?:{'|'.join(others)})" for first, others in rest.items())
    ).search
