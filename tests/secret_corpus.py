"""Made-up secrets in more than 150 shapes, put together at run time so that nothing here has the shape of one.

Each is a line (or a few) as it stands in code, settings, a log or a header, and the part of it that no one may see.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
B64 = ALNUM + "+/"
URL64 = ALNUM + "-_"
WINDOW = 16


@dataclass(frozen=True)
class Secret:
    """``text`` as it is met, ``parts`` of it that are secret."""

    name: str
    text: str
    parts: tuple[str, ...]

    def windows(self, seen: str | None = None) -> tuple[str, ...]:
        """Pieces of the secret parts that tell enough of them to be a leak; of what of it stands in ``seen``."""
        found = []
        for part in self.parts:
            if len(part) <= WINDOW:
                found.append(part)
            else:
                found += [part[at : at + WINDOW] for at in range(0, len(part) - WINDOW + 1, WINDOW // 2)]
        return tuple(piece for piece in found if seen is None or piece in seen)


class Maker:
    """Random pieces of one corpus."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self, length: int, alphabet: str = ALNUM) -> str:
        """Random characters; of letters and digits both, as a machine makes them."""
        while True:
            text = "".join(self._random.choice(alphabet) for _ in range(length))
            letters = any(c.isalpha() for c in text)
            if length < 12 or not letters or sum(c.isdigit() for c in text) >= 3 or "0" not in alphabet:
                return text

    def uuid(self) -> str:
        return "-".join(self(n, HEX) for n in (8, 4, 4, 4, 12))

    def password(self) -> str:
        """As a person makes one up."""
        return "".join((self(1, "BCDGHKLMRSTW"), self(5, "aeioubdgkmrst"), self(3, "2345679"), self(1, "!#+=*")))

    def pair(self) -> str:
        """A user and his password in base64."""
        return base64.b64encode(f"svc{self(4, string.ascii_lowercase)}:{self(18)}".encode()).decode()

    def jwt(self, **claims: object) -> str:
        head, body = ({"alg": "HS256", "typ": "JWT"}, {"sub": self(8), **claims})
        packed = (base64.urlsafe_b64encode(json.dumps(x).encode()).decode().rstrip("=") for x in (head, body))
        return ".".join((*packed, self(43, URL64)))

    def pem(self, kind: str, lines: int = 8) -> tuple[str, tuple[str, ...]]:
        """A private key, and its lines."""
        rows = tuple(self(64, B64) for _ in range(lines))
        mark = "PRIVATE" + " KEY"
        name = f"{kind} " if kind else ""
        block = " BLOCK" if kind == "PGP" else ""
        ends = (f"-----{word} {name}{mark}{block}-----" for word in ("BEGIN", "END"))
        return "\n".join((next(ends), *rows, next(ends))), rows


Shape = Callable[[Maker], tuple[str, str | tuple[str, ...]]]


def _prefixed(prefix: str, length: int, alphabet: str = ALNUM, form: str = "{}") -> Shape:
    def make(m: Maker) -> tuple[str, str]:
        key = m(length, alphabet)
        return form.format(prefix + key), key

    return make


def _after(form: str, length: int, alphabet: str = ALNUM) -> Shape:
    def make(m: Maker) -> tuple[str, str]:
        key = m(length, alphabet)
        return form.replace("{}", key), key

    return make


def _typed(form: str) -> Shape:
    def make(m: Maker) -> tuple[str, str]:
        word = m.password()
        return form.replace("{}", word), word

    return make


def _paired(form: str) -> Shape:
    def make(m: Maker) -> tuple[str, str]:
        pair = m.pair()
        return form.replace("{}", pair), pair

    return make


def _of_uuid(form: str) -> Shape:
    def make(m: Maker) -> tuple[str, str]:
        key = m.uuid()
        return form.replace("{}", key), key

    return make


def _key(kind: str, dress: Callable[[str], str] = str) -> Shape:
    def make(m: Maker) -> tuple[str, tuple[str, ...]]:
        text, rows = m.pem(kind)
        return dress(text), rows

    return make


def _token(form: str) -> Shape:
    def make(m: Maker) -> tuple[str, str]:
        token = m.jwt(n=1)
        return form.replace("{}", token), token.rpartition(".")[2]

    return make


def _putty(m: Maker) -> tuple[str, tuple[str, ...]]:
    rows = tuple(m(64, B64) for _ in range(4))
    mark, mac = "PuTTY-User-" + "Key-File-3", m(64, HEX)
    lines = (f"{mark}: ssh-ed25519", "Encryption: none", "Private-Lines: 4", *rows, f"Private-MAC: {mac}")
    return "\n".join(lines), rows


def _service_account(m: Maker) -> tuple[str, tuple[str, ...]]:
    text, rows = m.pem("")
    ident = m(40, HEX)
    return json.dumps({"type": "service_account", "private_key_id": ident, "private_key": text}), (*rows, ident)


SHAPES: dict[str, Shape] = {
    # clouds
    "aws id": _prefixed("AK" + "IA", 16, UPPER, "aws_access_key_id = {}"),
    "aws temporary id": _prefixed("AS" + "IA", 16, UPPER, '"AccessKeyId": "{}"'),
    "aws secret, ini": _after("aws_secret_access_key = {}", 40, B64),
    "aws secret, tight": _after("aws_secret_access_key={}", 40, B64),
    "aws secret, json": _after('{"SecretAccessKey": "{}"}', 40, B64),
    "aws secret, yaml": _after("  secretAccessKey: {}", 40, B64),
    "aws secret, export": _after("export AWS_SECRET_ACCESS_KEY={}", 40, B64),
    "aws secret, python": _after("boto3.client('s3', aws_secret_access_key='{}')", 40, B64),
    "aws secret, terraform": _after('  secret_key = "{}"', 40, B64),
    "aws session": _after("aws_session_token=IQoJb3JpZ2lu{}", 300, B64),
    "aws session, json": _after('"SessionToken": "FwoGZXIvYXdz{}"', 240, B64),
    "aws signature": _after("X-Amz-Signature={}&x=1", 64, HEX),
    "azure storage": _after("AccountName=x;Account" + "Key={}==;EndpointSuffix=core.windows.net", 86, B64),
    "azure bus": _after("Endpoint=sb://x.servicebus.windows.net/;SharedAccess" + "Key={}=", 43, B64),
    "azure sas": _after("https://x.blob.core.windows.net/c?sv=2022-11-02&sp=r&sig={}%3D", 43, ALNUM),
    "azure client secret": lambda m: (f"AZURE_CLIENT={(k := m(3) + '8Q' + '~' + m(34))}", k),
    "azure client secret by name": _after("AZURE_CLIENT_SECRET: {}", 40, URL64),
    "azure devops": _after("AZURE_DEVOPS_EXT_PAT_TOKEN={}", 52, "abcdefghijklmnopqrstuvwxyz234567"),
    "google key": _prefixed("AI" + "za", 35, URL64, "maps: {}"),
    "google oauth": _prefixed("ya" + "29.", 120, URL64, "access {}"),
    "google client secret": _prefixed("GOC" + "SPX-", 28, URL64, '"client": "{}"'),
    "google refresh": _prefixed("1/" + "/0", 60, URL64, "refresh {}"),
    "google service account": _service_account,
    "alibaba": _prefixed("LT" + "AI", 20, ALNUM, "id {}"),
    "digitalocean": _prefixed("do" + "p_v1_", 64, HEX),
    "digitalocean oauth": _prefixed("do" + "o_v1_", 64, HEX),
    "heroku": _prefixed("HR" + "KU-", 40, URL64),
    "heroku of old": _of_uuid("HEROKU_API_KEY={}"),
    "databricks": _prefixed("da" + "pi", 32, HEX),
    "ibm cloud": _after('ibm_cloud_api_key = "{}"', 44, URL64),
    "cloudflare": _after("CLOUDFLARE_API_TOKEN={}", 40, URL64),
    "fly": _prefixed("fo" + "1_", 43, URL64),
    "netlify": _prefixed("nf" + "p_", 36),
    "vercel": _after("VERCEL_TOKEN={}", 24),
    "supabase": _prefixed("sb" + "p_", 40, HEX),
    "planetscale": _prefixed("psc" + "ale_tkn_", 43, URL64),
    "scaleway": _of_uuid("SCW_SECRET_KEY: {}"),
    "oci": _after("oci_auth_token: '{}'", 20),
    # forges, registries, tools
    "github personal": _prefixed("gh" + "p_", 36),
    "github oauth": _prefixed("gh" + "o_", 36),
    "github user": _prefixed("gh" + "u_", 36),
    "github server": _prefixed("gh" + "s_", 36),
    "github refresh": _prefixed("gh" + "r_", 76),
    "github fine": _prefixed("git" + "hub_pat_", 82, ALNUM),
    "github in an address": _prefixed("gh" + "p_", 36, ALNUM, "https://x-access-token:{}@github.com/a/b.git"),
    "gitlab personal": _prefixed("gl" + "pat-", 20, URL64),
    "gitlab deploy": _prefixed("gl" + "dt-", 20, URL64),
    "gitlab runner": _prefixed("gl" + "rt-", 20, URL64),
    "gitlab job": _prefixed("gl" + "cbt-6a_", 20, URL64),
    "gitlab registration": _prefixed("GR" + "1348941", 20, URL64),
    "bitbucket": _prefixed("AT" + "BB", 32),
    "atlassian": _prefixed("AT" + "ATT3", 180, URL64),
    "npm": _prefixed("np" + "m_", 36),
    "npmrc": _prefixed("np" + "m_", 36, ALNUM, "//registry.npmjs.org/:_authToken={}"),
    "npmrc of old": _of_uuid("//registry.npmjs.org/:_authToken={}"),
    "pypi": _prefixed("py" + "pi-AgEIcHlwaS5vcmc", 140, URL64),
    "pypirc": _typed("password = {}"),
    "rubygems": _prefixed("rub" + "ygems_", 48, HEX),
    "docker token": _prefixed("dc" + "kr_pat_", 27, URL64),
    "docker auth": _paired('{"auths": {"r.io": {"auth": "{}"}}}'),
    "artifactory": _prefixed("AK" + "C", 69),
    "terraform": lambda m: (f"{m(14)}.atl" + f"asv1.{(k := m(60))}", k),
    "pulumi": _prefixed("pu" + "l-", 40, HEX),
    "doppler": _prefixed("dp" + ".pt.", 43),
    "vault": _prefixed("hv" + "s.", 24),
    "vault long": _prefixed("hv" + "s.CAESI", 90, URL64),
    "vault batch": _prefixed("hv" + "b.", 120, URL64),
    "tailscale": _prefixed("tsk" + "ey-auth-kX1yZ2wV3u", 32),
    "grafana": _prefixed("gl" + "sa_", 41),
    "grafana cloud": _prefixed("gl" + "c_", 90, B64),
    "postman": lambda m: ("PM" + f"AK-{(a := m(24, HEX))}-{(b := m(34, HEX))}", (a, b)),
    "figma": _prefixed("fi" + "gd_", 40, URL64),
    "linear": _prefixed("li" + "n_api_", 40),
    "notion": _prefixed("nt" + "n_", 46),
    "notion of old": _prefixed("sec" + "ret_", 43),
    "airtable": lambda m: ("pa" + f"t{m(14)}.{(k := m(64, HEX))}", k),
    "asana": lambda m: (f"1/{m(16, '123456789')}:{(k := m(32, HEX))}", k),
    "sentry": _prefixed("snt" + "rys_", 100),
    "sentry dsn": _after("https://{}@o42.ingest.sentry.io/4505", 32, HEX),
    "datadog": _after("DD_API_KEY={}", 32, HEX),
    "datadog app": _after("dd_app_key: {}", 40, HEX),
    "new relic": _prefixed("NR" + "AK-", 27, UPPER),
    "new relic licence": lambda m: ((k := m(36, HEX)) + "NR" + "AL", k),
    "dynatrace": lambda m: ("dt" + f"0c01.{m(24, UPPER)}.{(k := m(64, UPPER))}", k),
    "pagerduty": _after("pagerduty_token = '{}'", 20),
    "launchdarkly": _of_uuid("LAUNCHDARKLY_ACCESS_TOKEN=api-{}"),
    "snyk": _of_uuid("SNYK_TOKEN={}"),
    "sonar": _after("SONAR_TOKEN=squ_{}", 40, HEX),
    "codecov": _of_uuid("CODECOV_TOKEN: {}"),
    "circleci": _after("CIRCLE_TOKEN={}", 40, HEX),
    "travis": _after("travis_token: {}", 22, URL64),
    # models
    "openai": _prefixed("sk" + "-", 48),
    "openai project": _prefixed("sk" + "-proj-", 120, URL64),
    "openai service": _prefixed("sk" + "-svcacct-", 60, URL64),
    "anthropic": _prefixed("sk" + "-ant-api03-", 93, URL64),
    "openrouter": _prefixed("sk" + "-or-v1-", 64, HEX),
    "huggingface": _prefixed("hf" + "_", 34),
    "groq": _prefixed("gs" + "k_", 52),
    "xai": _prefixed("xa" + "i-", 80),
    "perplexity": _prefixed("pp" + "lx-", 48),
    "replicate": _prefixed("r8" + "_", 37),
    "langsmith": lambda m: ("ls" + f"v2_pt_{(k := m(32, HEX))}_{m(10, HEX)}", k),
    "cohere": _after("CO_API_KEY={}", 40),
    "mistral": _after("MISTRAL_API_KEY={}", 32),
    # messages, money, shops
    "slack bot": lambda m: ("xo" + f"xb-{m(12, '123456789')}-{m(12, '123456789')}-{(k := m(24))}", k),
    "slack user": lambda m: ("xo" + f"xp-{m(12, '123456789')}-{(k := m(32, HEX))}", k),
    "slack app": lambda m: ("xa" + f"pp-1-{m(11, UPPER)}-{m(13, '123456789')}-{(k := m(64, HEX))}", k),
    "slack hook": lambda m: ("https://hooks.slack" + f".com/services/T{m(8, UPPER)}/B{m(8, UPPER)}/{(k := m(24))}", k),
    "discord bot": lambda m: ("M" + m(23) + "." + m(6) + "." + (k := m(27)), k),
    "discord hook": lambda m: ("https://discord.com/api/web" + f"hooks/{m(18, '123456789')}/{(k := m(68, URL64))}", k),
    "telegram": lambda m: (f"{m(10, '123456789')}:A" + f"A{(k := m(33, URL64))}", k),
    "twilio": _prefixed("S" + "K", 32, HEX),
    "twilio auth": _after("TWILIO_AUTH_TOKEN={}", 32, HEX),
    "sendgrid": lambda m: ("S" + f"G.{(a := m(22, URL64))}.{(b := m(43, URL64))}", (a, b)),
    "mailgun": _prefixed("ke" + "y-", 32, HEX),
    "mailchimp": lambda m: ((k := m(32, HEX)) + "-us" + "14", k),
    "brevo": lambda m: ("xke" + f"ysib-{(k := m(64, HEX))}-{m(16)}", k),
    "postmark": _of_uuid("X-Postmark-Server-Token: {}"),
    "stripe": _prefixed("sk" + "_live_", 24),
    "stripe restricted": _prefixed("rk" + "_live_", 24),
    "stripe test": _prefixed("sk" + "_test_", 24),
    "stripe hook": _prefixed("wh" + "sec_", 32),
    "square": _prefixed("sq0" + "csp-", 43, URL64),
    "shopify": _prefixed("shp" + "at_", 32, HEX),
    "shopify app": _prefixed("shp" + "ss_", 32, HEX),
    "paypal": _after("PAYPAL_CLIENT_SECRET={}", 80, URL64),
    "facebook": _prefixed("EA" + "A", 120),
    "x bearer": _prefixed("A" * 22, 70, ALNUM),
    # headers
    "basic": _paired("Authorization: Basic {}"),
    "basic, dict": _paired("{'Authorization': 'Basic {}'}"),
    "basic, curl": _paired("curl -H 'authorization: basic {}' https://x.invalid"),
    "bearer": _after("Authorization: Bearer {}", 40, URL64),
    "bearer, dict": _after("headers={'Authorization': 'Bearer {}'}", 32, HEX),
    "token header": _after("Authorization: token {}", 40, HEX),
    "digest": _after('Authorization: Digest username="u", realm="r", nonce="x", response="{}"', 32, HEX),
    "api key header": _after("X-Api-Key: {}", 32),
    "auth token header": _after("X-Auth-Token: {}", 40, HEX),
    "cookie": _after("Cookie: theme=dark; sessionid={}; lang=en", 32),
    "set-cookie": _after("Set-Cookie: sid={}; HttpOnly; Path=/", 40, URL64),
    "csrf": _after("csrftoken={}", 64),
    "session": _after("PHPSESSID={}", 26, "abcdefghijklmnopqrstuvwxyz0123456789"),
    "jwt": _token("{}"),
    "jwt in a header": _token("Authorization: Bearer {}"),
    "jwt in a query": _token("GET /x?access_token={} HTTP/1.1"),
    # passwords that people make up
    "password, tight": _typed("password={}"),
    "password, dict": _typed("{'user': 'app', 'password': '{}'}"),
    "password, json": _typed('{"password": "{}"}'),
    "password, yaml": _typed("  password: {}"),
    "password, toml": _typed('password = "{}"'),
    "password, env": _typed("DB_PASSWORD={}"),
    "password, export": _typed("export PGPASSWORD='{}'"),
    "password, call": _typed("connect(host='db', password='{}')"),
    "password, option": _typed("mysqldump --password={} shop"),
    "password, spaced option": _typed("tool --password {} run"),
    "password, odbc": _typed("Driver={x};Server=db;Uid=app;Pwd={};"),
    "password, jdbc": _typed("jdbc:postgresql://db/app?user=app&password={}&ssl=true"),
    "password, xml": _typed("<password>{}</password>"),
    "password, maven": _typed("    <password>{}</password>"),
    "passphrase": _typed('passphrase: "{}"'),
    "curl user": _typed("curl -u app:{} https://x.invalid"),
    "netrc": _typed("machine api.invalid login me password {}"),
    "pgpass": _typed("db.invalid:5432:shop:app:{}"),
    "repr of settings": _typed("Settings(user='app', password='{}', port=5432)"),
    "escaped json": _typed('"{\\"password\\": \\"{}\\"}"'),
    # addresses
    "postgres": _after("postgres://app:{}@db.invalid:5432/shop", 14),
    "mysql": _after("mysql+pymysql://root:{}@db.invalid/shop", 12),
    "redis": _after("redis://:{}@cache.invalid:6379/0", 20),
    "mongo": _after("mongodb+srv://app:{}@cluster0.invalid/x?retryWrites=true", 16),
    "amqp": _after("amqp://guest2:{}@mq.invalid:5672/", 16),
    "ftp": _typed("ftp://me:{}@files.invalid/x"),
    "percent": lambda m: (f"https://me:{(k := m(6) + '%21' + m(8))}@x.invalid/", k),
    # keys
    "rsa": _key("RSA"),
    "pkcs8": _key(""),
    "ec": _key("EC"),
    "openssh": _key("OPENSSH"),
    "pgp": _key("PGP"),
    "encrypted": _key("ENCRYPTED"),
    "rsa, escaped": _key("RSA", lambda key: json.dumps({"key": key})),
    "rsa, yaml": _key("RSA", lambda key: "key: |\n" + "\n".join("  " + line for line in key.splitlines())),
    "rsa, diff": _key("RSA", lambda key: "\n".join("E         + " + line for line in key.splitlines())),
    "rsa, cut": _key("RSA", lambda key: "\n".join(key.splitlines()[:-3])),
    "rsa, the end of it": _key("RSA", lambda key: "\n".join(key.splitlines()[3:])),
    "putty": _putty,
    "age": _prefixed("AGE-SEC" + "RET-KEY-1", 58, UPPER),
    "wireguard": _after("PrivateKey = {}=", 43, B64),
    "wireguard shared": _after("PresharedKey = {}=", 43, B64),
    "kubeconfig": _after("    client-key-data: {}==", 400, B64),
    "kubeconfig token": _token("    token: {}"),
    "fernet": _after("FERNET_KEY={}=", 43, URL64),
    "fernet token": _prefixed("gA" + "AAAA", 120, URL64),
    "django": _after("SECRET_KEY = 'django-insecure-{}'", 50, ALNUM + "#$%^&*(-_=+)"),
    "flask": _after("app.secret_key = b'{}'", 32, HEX),
    "flask, bytes": lambda m: ("SECRET_KEY = '" + (k := m(24, HEX)) + "'", k),
    "rails": _after("secret_key_base: {}", 128, HEX),
    "totp": _after("otpauth://totp/x:me?secret={}&issuer=x", 32, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "totp seed": _after('totp_secret = "{}"', 32, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "hex 32": _after("token = '{}'", 32, HEX),
    "hex 40": _after("assert token == '{}'", 40, HEX),
    "hex 64": _after("api_secret={}", 64, HEX),
    "hex in a log": _after("2026-01-02 03:04:05 INFO login ok token={} user=7", 40, HEX),
    "base64 in a log": _after("DEBUG client_secret={} grant=code", 44, B64),
    "shell quotes": _after('API_TOKEN="{}" ./run', 40, URL64),
    "arrow": _after("'api_key' => '{}',", 32),
    "walrus": _after('apiKey := "{}"', 32),
    "csv": _after("api_key,{}", 32),
    "yaml, folded": _after("token: >-\n  {}", 48, URL64),
    "shell, continued": _after("TOKEN=\\\n  {}", 40, URL64),
    "htpasswd": lambda m: ("me:$ap" + f"r1${m(8)}${(k := m(22))}", k),
    "bcrypt": lambda m: ("$2" + f"b$12${(k := m(53))}", k),
    "shadow": lambda m: ("me:$6$" + f"{m(16)}${(k := m(86))}:19000:0:99999:7:::", k),
    "django hash": lambda m: ("pbkdf2_" + f"sha256$600000${m(22)}${(k := m(43, B64))}=", k),
    "ldap": lambda m: ("{SS" + "HA}" + (k := m(32, B64)), k),
}


def corpus(seed: int = 7) -> tuple[Secret, ...]:
    """One secret of each shape."""
    m = Maker(seed)
    found = []
    for name, shape in SHAPES.items():
        text, parts = shape(m)
        found.append(Secret(name, text, (parts,) if isinstance(parts, str) else parts))
    return tuple(found)


TOLD_BY_THEIR_END = frozenset({"new relic licence", "mailchimp", "sentry dsn", "azure sas"})
"""Nothing tells these from other text where a message was cut before their end."""

DRESSES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "in a sentence": lambda text: f"It said {text} and went on.",
    "error line": lambda text: "\n".join(f"E       {line}" for line in text.splitlines()),
    "added": lambda text: "\n".join(f"E         + {line}" for line in text.splitlines()),
    "removed": lambda text: "\n".join(f"E         - {line}" for line in text.splitlines()),
    "hint": lambda text: f"{text}\nE         ?    ^^^^ ++\n",
    "repr": lambda text: f"E       AssertionError: assert {text!r} == 1",
    "json in json": lambda text: json.dumps({"event": json.dumps({"said": f"it was\n{text}"})}),
    "repr in json": lambda text: json.dumps({"message": f"assert {text!r}", "ok": False}),
    "log": lambda text: f"WARNING  root:client.py:12 {text}",
    "yaml list": lambda text: "- run: |\n" + "\n".join(f"    {line}" for line in text.splitlines()),
    "captured": lambda text: f"----- Captured stdout call -----\n{text}\n",
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
}
