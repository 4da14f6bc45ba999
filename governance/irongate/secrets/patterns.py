"""Shapes of keys: data. Most start with a prefix that names the issuer.

The lengths are lower bounds that separate a key from a word, not those of whole keys: a message that was cut may hold a
part of one.
"""

from __future__ import annotations

import re
from functools import cache

TAIL = r"(?![A-Za-z0-9])"
_B = r"[A-Za-z0-9_\-]"
_C = r"[A-Za-z0-9]"
_CHARS = r"[A-Za-z0-9./+=$,_]"
_CRYPT = ("$1$", "$2", "$5$", "$6$", "$7$", "$y$", "$gy$", "$apr1$", "$argon2", "$scrypt$", "$pbkdf2")
_GITLAB = tuple(
    f"gl{kind}-" for kind in ["pat", "dt", "rt", "cbt", "ptt", "ft", "imt", "agent", "oas", "soat", "ffct", "rtr"]
)
_SHOPIFY = tuple(f"shp{kind}_" for kind in ["at", "ca", "pa", "ss", "ua", "it"])
# name, texts of which one must occur (so that most shapes cost next to nothing), shape
_TABLE: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("aws-access-key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{12,16}" + TAIL),
    ("aws-session-token", ("FwoG", "IQoJ"), r"(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9+/=]{16,4096}"),
    ("aws-bedrock-key", ("ABSK", "bedrock-api-key-"), r"(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/=]{60,400}"),
    ("github-token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{16,255}"),
    ("github-token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{16,255}"),
    (
        "gitlab-token",
        _GITLAB,
        rf"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct|rtr)-(?:[0-9a-f]{{2}}_)?{_B}{{16,255}}",
    ),
    ("gitlab-token", ("GR1348941",), rf"GR1348941{_B}{{16,255}}"),
    ("bitbucket-token", ("ATBB",), rf"ATBB{_C}{{16,64}}"),
    ("atlassian-token", ("ATATT3", "ATCTT3"), r"AT[AC]TT3[A-Za-z0-9_\-=]{16,512}"),
    ("slack-token", ("xox",), r"xox[abceoprs]-[A-Za-z0-9\-]{10,255}"),
    ("slack-token", ("xoxe.",), r"xoxe\.xox[bp]-\d-[A-Za-z0-9\-]{16,255}"),
    ("slack-token", ("xapp-",), r"xapp-\d-[A-Za-z0-9\-]{10,255}"),
    ("slack-webhook", ("hooks.slack",), r"hooks\.slack\.com/\w{8,9}/[TE]\w{6,40}/\w{6,40}/\w{8,60}"),
    ("discord-webhook", ("/api/webhooks/",), rf"discord(?:app)?\.com/api/webhooks/\d{{8,24}}/{_B}{{16,90}}"),
    (
        "teams-webhook",
        ("webhook.office.com",),
        r"webhook\.office\.com/\w{4,20}/[0-9a-f\-@]{36,80}/\w{4,30}/[0-9a-f]{16,}/[0-9a-f\-]{8,}",
    ),
    ("anthropic-key", ("sk-ant-",), rf"sk-ant-[A-Za-z0-9]{{2,12}}-{_B}{{16,255}}"),
    ("openrouter-key", ("sk-or-",), rf"sk-or-v\d-{_B}{{16,255}}"),
    ("openai-key", ("sk-",), rf"sk-(?:proj|svcacct|admin|service|None)-{_B}{{16,255}}"),
    ("openai-key", ("sk-",), rf"sk-(?=[A-Za-z0-9]{{0,40}}\d){_C}{{24,64}}" + TAIL),
    ("huggingface-token", ("hf_", "api_org_"), rf"(?:hf|api_org)_{_C}{{16,64}}" + TAIL),
    ("groq-key", ("gsk_",), rf"gsk_{_C}{{16,80}}" + TAIL),
    ("xai-key", ("xai-",), rf"xai-{_C}{{16,120}}" + TAIL),
    ("perplexity-key", ("pplx-",), rf"pplx-{_C}{{16,80}}" + TAIL),
    ("replicate-key", ("r8_",), rf"r8_{_C}{{16,60}}" + TAIL),
    ("langsmith-key", ("lsv2_",), r"lsv2_(?:pt|sk)_[0-9a-f]{16,40}(?:_[0-9a-f]{6,16})?"),
    ("google-key", ("AIza",), r"AIza[0-9A-Za-z_\-]{16,39}" + TAIL),
    ("google-oauth", ("ya29.",), r"ya29\.[0-9A-Za-z_\-]{16,1024}"),
    ("google-oauth", ("1//0",), r"1//0[0-9A-Za-z_\-]{24,256}"),
    ("google-oauth", ("GOCSPX-",), r"GOCSPX-[0-9A-Za-z_\-]{16,40}" + TAIL),
    ("stripe-key", ("k_live_", "k_test_"), r"[rsp]k_(?:live|test)_[0-9A-Za-z]{16,255}"),
    ("stripe-webhook", ("whsec_",), r"whsec_[0-9A-Za-z+/=]{16,255}"),
    ("sendgrid-key", ("SG.",), r"SG\.[A-Za-z0-9_\-]{16,32}(?:\.[A-Za-z0-9_\-]{4,64})?"),
    ("brevo-key", ("xkeysib-", "xsmtpsib-"), r"x(?:keys|smtps)ib-[0-9a-f]{16,64}(?:-[A-Za-z0-9]{4,16})?"),
    ("mailgun-key", ("key-",), r"key-[0-9a-f]{16,32}" + TAIL),
    ("resend-key", ("re_",), r"re_[A-Za-z0-9]{6,10}_[A-Za-z0-9]{16,40}" + TAIL),
    ("twilio-key", ("SK",), r"SK[0-9a-f]{16,32}" + TAIL),
    ("npm-token", ("npm_",), r"npm_[A-Za-z0-9]{16,36}" + TAIL),
    ("pypi-token", ("pypi-",), r"pypi-[A-Za-z0-9_\-]{36,512}"),
    ("rubygems-key", ("rubygems_",), r"rubygems_[0-9a-f]{16,48}" + TAIL),
    ("crates-token", ("cio",), r"cio(?=[A-Za-z]{0,32}\d)[A-Za-z0-9]{32}" + TAIL),
    ("docker-token", ("dckr_",), rf"dckr_[po]at_{_B}{{16,64}}"),
    ("digitalocean-token", ("_v1_",), r"do[opr]_v1_[0-9a-f]{16,64}" + TAIL),
    ("databricks-token", ("dapi",), r"dapi[0-9a-f]{16,32}(?:-\d)?" + TAIL),
    ("heroku-key", ("HRKU-",), rf"HRKU-{_B}{{16,80}}"),
    ("new-relic-key", ("NRAK-", "NRII-", "NRBR-", "NRRA-", "NRJS-"), rf"NR(?:AK|II|BR|RA|JS)-{_B}{{16,40}}"),
    ("new-relic-key", ("NRAL",), r"[0-9a-f]{36}NRAL"),
    ("grafana-token", ("glsa_", "glc_"), r"gl(?:sa|c)_[A-Za-z0-9+/=_]{16,400}"),
    ("grafana-token", ("eyJrIjoi",), r"eyJrIjoi[A-Za-z0-9+/=_\-]{16,400}"),
    ("terraform-token", (".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-=]{16,80}"),
    ("doppler-token", ("dp.",), r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_\-]{2,35}\.)?[A-Za-z0-9]{16,64}" + TAIL),
    ("vault-token", ("hvs.", "hvb.", "hvr."), rf"hv[sbr]\.{_B}{{16,300}}"),
    ("pulumi-token", ("pul-",), r"pul-[0-9a-f]{16,40}" + TAIL),
    ("tailscale-key", ("tskey-",), r"tskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9\-]{16,100}"),
    ("flyio-token", ("FlyV1", "fo1_"), r"(?:FlyV1\s+fm\d[a-z]?_[A-Za-z0-9+/=,_]{16,2048}|fo1_[A-Za-z0-9_\-]{24,64})"),
    ("netlify-token", ("nfp_",), rf"nfp_{_C}{{16,60}}" + TAIL),
    ("supabase-key", ("sbp_", "sb_secret_"), r"(?:sbp_[0-9a-f]{16,40}|sb_secret_[A-Za-z0-9_\-]{16,64})"),
    ("planetscale-token", ("pscale_",), r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_\-.=]{16,80}"),
    ("shopify-token", _SHOPIFY, r"shp(?:at|ca|pa|ss|ua|it)_[0-9a-fA-F]{16,64}"),
    ("linear-key", ("lin_",), rf"lin_(?:api|oauth|wh)_{_C}{{16,80}}"),
    (
        "notion-key",
        ("ntn_", "secret_"),
        r"(?:ntn_|secret_(?=[A-Za-z0-9]{32})(?=[A-Za-z]{0,40}\d))[A-Za-z0-9]{16,64}" + TAIL,
    ),
    ("figma-token", ("figd_", "figo_", "figu_", "figr_"), rf"fig[dour]_{_B}{{16,80}}"),
    ("postman-key", ("PMAK-",), r"PMAK-[0-9a-f]{12,24}(?:-[0-9a-f]{4,34})?"),
    ("airtable-token", ("pat",), r"pat[A-Za-z0-9]{14}\.[0-9a-f]{16,64}" + TAIL),
    ("asana-token", ("/",), r"[12]/\d{15,17}(?:/\d{15,17})?:[0-9a-f]{24,32}" + TAIL),
    ("sentry-token", ("sntry",), r"sntry[su]_[A-Za-z0-9+/=_\-]{16,400}"),
    ("sentry-dsn", ("://",), r"https?://(?:[0-9a-f]{32}(?::[0-9a-f]{32})?)@[A-Za-z0-9.\-]{4,100}/\d{1,20}"),
    ("dynatrace-token", ("dt0",), r"dt0[a-z]\d{2}\.[A-Z0-9]{24}(?:\.[A-Z0-9]{16,64})?"),
    ("dropbox-token", ("sl.",), r"sl\.(?:u\.)?(?=[A-Za-z_\-]{0,80}\d)[A-Za-z0-9_\-]{60,2048}"),
    ("mapbox-token", ("sk.eyJ",), r"sk\.eyJ[A-Za-z0-9_\-]{16,200}\.[A-Za-z0-9_\-]{8,60}"),
    ("facebook-token", ("EAA",), r"EAA(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{40,400}"),
    ("x-token", ("AAAAAAAAAAAAAAAAAAAA",), r"A{16,24}[A-Za-z0-9%]{30,140}"),
    ("telegram-token", (":AA",), r"\d{8,10}:AA[A-Za-z0-9_\-]{16,34}" + TAIL),
    ("discord-token", (".",), r"[MNO][A-Za-z\d_\-]{23,25}\.[A-Za-z\d_\-]{6}\.[A-Za-z\d_\-]{27,38}" + TAIL),
    ("mailchimp-key", ("-us",), r"[0-9a-f]{32}-us\d{1,2}" + TAIL),
    ("square-key", ("sq0",), r"sq0(?:csp|atp|idp)-[0-9A-Za-z_\-]{16,60}" + TAIL),
    ("square-key", ("EAAA",), r"EAAA[A-Za-z0-9_\-]{60}" + TAIL),
    ("artifactory-key", ("AKC",), r"AKC[a-zA-Z0-9]{24,255}"),
    ("artifactory-key", ("cmVmdGtu",), r"cmVmdGtu[A-Za-z0-9]{16,80}"),
    ("azure-key", ("AccountKey=", "SharedAccessKey="), r"(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{16,86}={0,2}"),
    ("azure-sas", ("sig=",), r"sig=(?=[A-Za-z0-9/+]{0,50}[\d%])[A-Za-z0-9%/+]{30,90}(?:%3D|={0,2})"),
    ("azure-secret", ("Q~",), r"[A-Za-z0-9_~.\-]{3}\dQ~[A-Za-z0-9_~.\-]{16,37}"),
    ("alibaba-key", ("LTAI",), rf"LTAI{_C}{{12,26}}" + TAIL),
    ("age-key", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[0-9A-Z]{16,58}"),
    ("fernet-token", ("gAAAAA",), r"gAAAAA[A-Za-z0-9_\-]{60,4096}={0,2}"),
    ("jwt", (".eyJ",), r"eyJ[A-Za-z0-9_\-]{8,2048}\.eyJ[A-Za-z0-9_\-]{8,4096}(?:\.[A-Za-z0-9_\-]{4,1024})?"),
    ("jwe", ("eyJ",), rf"eyJ{_B}{{16,1024}}\.{_B}{{0,1024}}\.{_B}{{12,64}}\.{_B}{{8,4096}}\.{_B}{{16,64}}"),
    (
        "password-hash",
        _CRYPT,
        rf"\$(?:2[abxy]?|[1567]|apr1|y|gy|argon2\w{{1,2}}|scrypt|pbkdf2(?:-\w{{3,6}})?)\${_CHARS}{{16,300}}",
    ),
    ("password-hash", ("sha256$", "sha512$"), rf"(?:pbkdf2|bcrypt)_sha\d{{3}}\${_CHARS}{{24,300}}"),
    ("password-hash", ("scrypt$", "argon2$"), rf"(?:scrypt|argon2)\${_CHARS}{{24,300}}"),
    ("password-hash", ("SHA}", "MD5}"), r"\{S?S(?:HA|MD5)\d{0,3}\}[A-Za-z0-9+/]{16,140}={0,2}"),
)
START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtf]))"
"""Where a word may begin: also after an end of line that was escaped."""
SHAPES = tuple((name, hint, START + shape) for name, hints, shape in _TABLE for hint in hints)
"""Name, a text that has to occur, and the expression: one that is never needed is never compiled."""


@cache
def compiled(shape: str) -> re.Pattern[str]:
    return re.compile(shape)


KEY_HEAD = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")
KEY_TAIL = re.compile(r"-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
# A line of the inside of a key, and what may separate two of them: ends of lines or their escapes, marks of a
# diff, quotes, comments.
KEY_ROW = re.compile(r"[A-Za-z0-9+/=]{12,}")
KEY_GAP = re.compile(r"(?:\\[nr]?|[\s\"'`+\-?>|#*,E:()]){0,80}")
PUTTY_HEAD = re.compile(r"PuTTY-User-Key-File-\d:")
PUTTY_ROWS = re.compile(r"Private-Lines: \d{1,4}")
PUTTY_END = re.compile(r"\nPrivate-(?:MAC|Hash): \w{1,200}")
