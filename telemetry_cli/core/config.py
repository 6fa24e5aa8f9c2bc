"""Resolve settings (flag over environment over file over default) and locate files."""

import os
import stat

from telemetry_cli.core import fs as files
from telemetry_cli.core import values as rules
from telemetry_cli.core.errors import InvalidInput

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def parse(text: str) -> dict[str, object] | None:
    """The document, just as tomllib would give it; None when the text has more to it than is understood here."""
    document: dict[str, object] = {}
    table = document
    for raw in text.replace("\r\n", "\n").split("\n"):
        line = raw.strip(" \t")
        if not line:
            continue
        if not line.isprintable():
            return None
        if line.startswith("#"):
            continue
        if line.startswith("["):
            name = line[1:-1]
            if not line.endswith("]") or not name or not _BARE.issuperset(name) or name in document:
                return None
            table = {}
            document[name] = table
            continue
        key, equals, value = (part.strip(" ") for part in line.partition("="))
        found = _value(value)
        key = key[1:-1] if _is_plain_string(key) else key if _BARE.issuperset(key) else ""
        if not equals or found is None or not key or key in table:
            return None
        table[key] = found
    return document


def _value(text: str) -> object:
    """A string without escapes, a boolean, or a plain decimal number; None for anything else."""
    if _is_plain_string(text):
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    whole, point, fraction = text.partition(".")
    if not _is_decimal(whole) or (len(whole) > 1 and whole[0] == "0"):
        return None
    if point:
        return float(text) if _is_decimal(fraction) else None
    return int(text)


def _is_plain_string(text: str) -> bool:
    inner = text[1:-1]
    # In single quotes a backslash is a backslash.
    return (
        len(text) >= 2
        and text[0] == text[-1]
        and text[0] in "\"'"
        and text[0] not in inner
        and (text[0] == "'" or "\\" not in inner)
    )


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


JOURNAL_MODES = ("delete",)
SYNCHRONOUS = ("extra", "full")
URL_STYLES = ("github", "gitlab", "bitbucket")

#: setting → (environment variables, first one first; default). The setting's name is its key in the config file, `table.key` one in a table.
SETTINGS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "base_dir": (("TELEMETRY_BASE_DIR", "AGENT_METRICS_DIR"), None),
    "db_path": (("TELEMETRY_DB_PATH",), None),
    "agent_name": (("TELEMETRY_AGENT_NAME",), None),
    "job_type": (("TELEMETRY_JOB_TYPE",), None),
    "agent_owner": (("AGENT_OWNER",), None),
    "lock_timeout": (("TELEMETRY_LOCK_TIMEOUT",), "5"),
    "db_busy_timeout_ms": (("TELEMETRY_DB_BUSY_TIMEOUT_MS",), None),
    "db_journal_mode": (("TELEMETRY_DB_JOURNAL_MODE",), "DELETE"),
    "db_synchronous": (("TELEMETRY_DB_SYNCHRONOUS",), "EXTRA"),
    "disabled": (("TELEMETRY_DISABLED",), "0"),
    "never_fail": (("TELEMETRY_NEVER_FAIL",), "0"),
    "debug": (("TELEMETRY_DEBUG",), "0"),
    "git_hooks.record": ((), "running"),
    "retention.days": ((), None),
}
#: Tables of the config file whose keys are not ours to know, each read by a function of its own.
_TABLES = ("url_hosts", "redact")
#: What a git hook records: commits made while a run is open, or every one.
HOOK_RECORDS = ("running", "always")
_FLAG, _ENVIRONMENT, _FILE, _DEFAULT = range(4)
_ON = ("1", "true", "yes", "on")


def is_on(variable: str) -> bool:
    """Read a switch straight from the environment: for what must hold before, or without, any settings."""
    return os.environ.get(variable, "").lower() in _ON


def config_path() -> str:
    """Where the config file is, or would be."""
    return os.path.join(_platform_folder("XDG_CONFIG_HOME", ".config"), "telemetry", "config.toml")


class Setting:
    """One setting: its text, where that came from in words, and from which layer."""

    def __init__(self, value: str | None, source: str, layer: int) -> None:
        self.value = value
        self.source = source
        self.layer = layer


class Config:
    """The settings of one call. `values` holds each as it was found; the rest is derived from them.

    Raises `InvalidInput` naming the flag, variable or file and key that is wrong.
    """

    def __init__(self, db: str | None = None, base_dir: str | None = None) -> None:
        self.warnings: list[str] = []
        document = _read_file()
        self.url_styles = _url_styles(document)
        #: Rules of the user's own for what must not be written: name → regular expression.
        self.redact_rules = _texts("redact", document)
        self.values = _layered({"db_path": db, "base_dir": base_dir}, document)
        self._place()
        files.respect_owner(self.base_dir, self.db_path)
        self.agent_name = self._text("agent_name")
        self.job_type = self._text("job_type")
        self.agent_owner = self._text("agent_owner")
        self.lock_timeout = self._lock_timeout()
        mode = self.values["db_journal_mode"]
        if str(mode.value).lower() not in JOURNAL_MODES:
            self.warnings.append(
                f"{mode.source}: journal mode {mode.value!r} is not supported; DELETE is used"
            )
        level = self.values["db_synchronous"]
        self.synchronous = rules.choice(level.source, str(level.value), SYNCHRONOUS).upper()
        self.disabled = self._switch("disabled")
        self.never_fail = self._switch("never_fail")
        self.debug = self._switch("debug")
        record = self.values["git_hooks.record"]
        self.hooks_record = rules.choice(record.source, str(record.value), HOOK_RECORDS)
        self.retention_days = self._count("retention.days")

    def _text(self, setting: str) -> str | None:
        return self.values[setting].value or None

    def _switch(self, setting: str) -> bool:
        return str(self.values[setting].value).lower() in _ON

    def _count(self, setting: str) -> int | None:
        found = self.values[setting]
        return None if found.value is None else rules.count(found.source, found.value)

    def _lock_timeout(self) -> float:
        older, newer = self.values["db_busy_timeout_ms"], self.values["lock_timeout"]
        if older.value and older.layer < newer.layer:
            return rules.count(older.source, older.value) / 1000
        return rules.seconds(newer.source, str(newer.value))

    def _place(self) -> None:
        """Set base_dir, db_path and the folders below the base.

        The highest layer that names either one settles both: a flag for one never mixes with a variable for the other,
        which would apply one base's journal to another's database.
        """
        base, db = self.values["base_dir"], self.values["db_path"]
        named_base = base.value if base.layer <= db.layer else None
        named_db = db.value if db.layer <= base.layer else None
        if named_base is not None:
            self.base_dir = _absolute(base.source, named_base)
        elif named_db is not None:
            path = _absolute(db.source, named_db)
            folder = os.path.dirname(path)
            self.base_dir = (
                os.path.dirname(folder) if os.path.basename(folder) == "db" else path + ".d"
            )
        else:
            self.base_dir = os.path.join(
                _platform_folder("XDG_DATA_HOME", ".local/share"), "telemetry"
            )
        self.db_dir = os.path.join(self.base_dir, "db")
        self.db_path = (
            _absolute(db.source, named_db)
            if named_db is not None
            else os.path.join(self.db_dir, "telemetry.sqlite")
        )
        if named_base is None:
            self.values["base_dir"] = Setting(
                self.base_dir,
                "default" if named_db is None else "derived from the database's path",
                db.layer,
            )
        if named_db is None:
            self.values["db_path"] = Setting(
                self.db_path, "derived from the base folder", base.layer
            )
        #: Whether the database's folder is one of our own, private and no link; else it is whatever the user named.
        self.owns_db_folder = os.path.dirname(self.db_path) == self.db_dir
        self.raw_dir = os.path.join(self.base_dir, "raw")
        self.buffer_dir = os.path.join(self.base_dir, "buffer")
        self.blobs_dir = os.path.join(self.base_dir, "blobs")
        self.backups_dir = os.path.join(self.base_dir, "backups")


def is_from_flag(config: Config, setting: str) -> bool:
    """Tell whether a setting was given on the command line."""
    return config.values[setting].source in ("--db", "--base-dir")


def _layered(flags: dict[str, str | None], document: dict[str, object]) -> dict[str, Setting]:
    values: dict[str, Setting] = {}
    for name, (variables, default) in SETTINGS.items():
        flag = flags.get(name)
        variable = next((variable for variable in variables if os.environ.get(variable)), None)
        if flag is not None:
            values[name] = Setting(flag, "--db" if name == "db_path" else "--base-dir", _FLAG)
        elif variable:
            values[name] = Setting(os.environ[variable], variable, _ENVIRONMENT)
        elif name in document:
            values[name] = Setting(_scalar(name, document[name]), f"{config_path()}: {name}", _FILE)
        else:
            values[name] = Setting(default, "default", _DEFAULT)
    return values


def _absolute(source: str, path: str) -> str:
    if not path or "\0" in path:
        raise InvalidInput(f"{source}: an empty path; name a folder or file")
    try:
        home = _home() if path == "~" or path.startswith("~/") else None
        return os.path.abspath(home + path[1:] if home else path)
    except FileNotFoundError:
        raise InvalidInput(
            f"{source}: {path!r} is relative and the working folder is gone; give an absolute path"
        ) from None


def _home() -> str | None:
    """The home folder, by $HOME or the user database; an empty $HOME says nothing (Python takes it for `/`)."""
    home = os.environ.get("HOME")
    if not home:
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    return home if os.path.isabs(home) else None


def _platform_folder(variable: str, below_home: str) -> str:
    folder = os.environ.get(variable, "")
    if os.path.isabs(folder):
        return folder
    home = _home()
    if home is None:
        raise InvalidInput(
            f"no home folder is known and {variable} is not set",
            "Set TELEMETRY_BASE_DIR, or pass --base-dir.",
        )
    return os.path.join(home, below_home)


# The file


def _read_file() -> dict[str, object]:
    try:
        path = config_path()
    except InvalidInput:
        # Without a home folder there is no config file; whether that matters is for the base folder to say.
        return {}
    try:
        content = _content(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InvalidInput(
            f"{path}: cannot be read: {error.strerror}", "Make the file readable, or remove it."
        ) from None
    document = _flat(path, _parse(path, content))
    known = [*SETTINGS, *_TABLES]
    unknown = [key for key in document if key not in known]
    if unknown:
        raise InvalidInput(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(known)}")
    return document


def _flat(path: str, document: dict[str, object]) -> dict[str, object]:
    """The document with the keys of our own tables as `table.key`."""
    ours = {name.partition(".")[0] for name in SETTINGS if "." in name}
    flat: dict[str, object] = {}
    for key, value in document.items():
        if key not in ours:
            flat[key] = value
        elif isinstance(value, dict):
            flat |= {f"{key}.{name}": found for name, found in value.items()}
        else:
            raise InvalidInput(f"{path}: {key}: a table is needed, such as [{key}]")
    return flat


def _content(path: str) -> bytes:
    """The file's bytes. Not one to wait for: a FIFO of that name must not hang every command."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidInput(
                f"{path} is no plain file", "Put a plain file in its place, or remove it."
            )
        return file.read()


def _parse(path: str, content: bytes) -> dict[str, object]:
    try:
        text = content.decode()
        document = parse(text)
        if document is not None:
            return document
        import tomllib

        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not valid TOML: {error}") from None


def _scalar(setting: str, value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (str, int, float)):
        return rules.text(f"{config_path()}: {setting}", str(value))
    raise InvalidInput(f"{config_path()}: {setting}: a text, number or boolean is needed")


def _url_styles(document: dict[str, object]) -> dict[str, str]:
    """`[url_hosts]`: host → whose web addresses it uses."""
    table = document.get("url_hosts", {})
    if not isinstance(table, dict) or not all(style in URL_STYLES for style in table.values()):
        raise InvalidInput(
            f"{config_path()}: url_hosts: a table of host = one of {', '.join(URL_STYLES)} is needed"
        )
    return {str(host).lower(): str(style) for host, style in table.items()}


def _texts(name: str, document: dict[str, object]) -> dict[str, str]:
    """A table of texts by names."""
    table = document.get(name, {})
    if not isinstance(table, dict) or not all(
        isinstance(value, str) and value for value in table.values()
    ):
        raise InvalidInput(f"{config_path()}: {name}: a table of name = 'text' is needed")
    return {str(key): str(value) for key, value in table.items()}
