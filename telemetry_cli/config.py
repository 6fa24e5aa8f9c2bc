"""Settings: flag over environment over file over default, and where things are."""

import os

from telemetry_cli import plain_toml, rules
from telemetry_cli.errors import InvalidInput

JOURNAL_MODES = ("delete",)
SYNCHRONOUS = ("extra", "full")
URL_STYLES = ("github", "gitlab", "bitbucket")

#: setting → (environment variables, first one first; default). The setting's name is its key in the config file.
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
}
_LAYERS = ("flag", "environment", "file", "default")
_ON = ("1", "true", "yes", "on")


def is_on(variable: str) -> bool:
    """Read a switch straight from the environment: for what must hold before, or without, any settings."""
    return os.environ.get(variable, "").lower() in _ON


def config_path() -> str:
    """Where the config file is, or would be."""
    return os.path.join(_platform_folder("XDG_CONFIG_HOME", ".config"), "telemetry", "config.toml")


class Config:
    """The settings of one call. `values` maps each setting to (text, where it came from); the rest is derived from it.

    Raises `InvalidInput` naming the flag, variable or file and key that is wrong.
    """

    def __init__(self, db: str | None = None, base_dir: str | None = None) -> None:
        self.warnings: list[str] = []
        document = _read_file()
        self.url_styles = _url_styles(document)
        self.values = _layered({"db_path": db, "base_dir": base_dir}, document)
        self._place()
        self.agent_name = self._text("agent_name")
        self.job_type = self._text("job_type")
        self.agent_owner = self._text("agent_owner")
        self.lock_timeout = self._lock_timeout()
        mode, source = self.values["db_journal_mode"]
        if str(mode).lower() not in JOURNAL_MODES:
            self.warnings.append(f"{source}: journal mode {mode!r} is not supported; DELETE is used")
        level, source = self.values["db_synchronous"]
        self.synchronous = rules.choice(source, str(level), SYNCHRONOUS).upper()
        self.disabled = self._switch("disabled")
        self.never_fail = self._switch("never_fail")
        self.debug = self._switch("debug")

    def _text(self, setting: str) -> str | None:
        return self.values[setting][0] or None

    def _switch(self, setting: str) -> bool:
        return str(self.values[setting][0]).lower() in _ON

    def _lock_timeout(self) -> float:
        older, source = self.values["db_busy_timeout_ms"]
        value, chosen = self.values["lock_timeout"]
        if older and _LAYERS.index(_layer(source)) < _LAYERS.index(_layer(chosen)):
            return rules.count(source, older) / 1000
        return rules.seconds(chosen, str(value))

    def _place(self) -> None:
        """Set base_dir, db_path and the folders below the base.

        The highest layer that names either one settles both: a flag for one never mixes with a variable for the other,
        which would apply one base's journal to another's database.
        """
        (base, base_source), (db, db_source) = self.values["base_dir"], self.values["db_path"]
        base_layer = _LAYERS.index(_layer(base_source)) if base is not None else len(_LAYERS)
        db_layer = _LAYERS.index(_layer(db_source)) if db is not None else len(_LAYERS)
        if base_layer > db_layer:
            base = None
        elif db_layer > base_layer:
            db = None
        if base is not None:
            self.base_dir = _absolute(base_source, base)
        elif db is not None:
            path = _absolute(db_source, db)
            folder = os.path.dirname(path)
            self.base_dir = os.path.dirname(folder) if os.path.basename(folder) == "db" else path + ".d"
        else:
            self.base_dir = os.path.join(_platform_folder("XDG_DATA_HOME", ".local/share"), "telemetry")
        self.db_dir = os.path.join(self.base_dir, "db")
        self.db_path = _absolute(db_source, db) if db is not None else os.path.join(self.db_dir, "telemetry.sqlite")
        self.values["base_dir"] = (self.base_dir, base_source if base else "derived from the database's path" if db else "default")
        self.values["db_path"] = (self.db_path, db_source if db else "derived from the base folder")
        #: Whether the database's folder is one of our own, private and no link; else it is whatever the user named.
        self.owns_db_folder = os.path.dirname(self.db_path) == self.db_dir
        self.raw_dir = os.path.join(self.base_dir, "raw")
        self.buffer_dir = os.path.join(self.base_dir, "buffer")


def _layered(flags: dict[str, str | None], document: dict[str, object]) -> dict[str, tuple[str | None, str]]:
    values: dict[str, tuple[str | None, str]] = {}
    for setting, (variables, default) in SETTINGS.items():
        flag = flags.get(setting)
        variable = next((name for name in variables if os.environ.get(name)), None)
        if flag is not None:
            values[setting] = (flag, "--db" if setting == "db_path" else "--base-dir")
        elif variable:
            values[setting] = (os.environ[variable], variable)
        elif setting in document:
            values[setting] = (_scalar(setting, document[setting]), f"{config_path()}: {setting}")
        else:
            values[setting] = (default, "default")
    return values


def _layer(source: str) -> str:
    if source.startswith("--"):
        return "flag"
    if source == "default":
        return "default"
    return "file" if ": " in source else "environment"


def _absolute(source: str, path: str) -> str:
    if not path or "\0" in path:
        raise InvalidInput(f"{source}: an empty path; name a folder or file")
    try:
        home = _home() if path == "~" or path.startswith("~/") else None
        return os.path.abspath(home + path[1:] if home else path)
    except FileNotFoundError:
        raise InvalidInput(f"{source}: {path!r} is relative and the working folder is gone; give an absolute path") from None


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
        raise InvalidInput(f"no home folder is known and {variable} is not set", "Set TELEMETRY_BASE_DIR, or pass --base-dir.")
    return os.path.join(home, below_home)


# The file


def _read_file() -> dict[str, object]:
    try:
        path = config_path()
        with open(path, "rb") as file:
            content = file.read()
    except (FileNotFoundError, NotADirectoryError, InvalidInput):
        # Without a home folder there is no config file; whether that matters is for the base folder to say.
        return {}
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}", "Make the file readable, or remove it.") from None
    document = _parse(path, content)
    known = [*SETTINGS, "url_hosts"]
    unknown = [key for key in document if key not in known]
    if unknown:
        raise InvalidInput(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(known)}")
    return document


def _parse(path: str, content: bytes) -> dict[str, object]:
    try:
        text = content.decode()
        document = plain_toml.parse(text)
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
        raise InvalidInput(f"{config_path()}: url_hosts: a table of host = one of {', '.join(URL_STYLES)} is needed")
    return {str(host).lower(): str(style) for host, style in table.items()}
