"""Passwords that are plain words: what stands beside them tells. Code and prose about passwords stay as they are."""

from __future__ import annotations

import json
import time

import pytest

from governance.irongate.candidate.g15_secrets import SecretFacts, check
from governance.irongate.secrets.redaction import redact
from ledger.vocabulary import Decision

FISH, HUNTER = "sword" + "fish", "hunt" + "er2!"
LINES = f"""
password = "{HUNTER}"
password = '{FISH}'
db_password: {FISH}
db_password: "{FISH} battery staple"
passwd={FISH}
DB_PASS={FISH}
pass: {FISH}9
pw = "{FISH}"
--password {FISH}
--http-password={FISH}
mysql -u root -p{HUNTER} db
mysqldump -uroot -p'{FISH}' db
sshpass -p {FISH} ssh a@b
curl -u admin:{FISH} http://host
docker login -u me -p {FISH}
zip -P {FISH} a.zip
openssl enc -aes256 -k {FISH}
openssl rsa -passin pass:{FISH}
keytool -storepass {FISH} -list
echo "root:{FISH}" | chpasswd
echo {FISH} | passwd --stdin me
machine host.com login me password {FISH}
default login me password {FISH}
machine host.com password {FISH} login me
Server=db;User Id=sa;Password={FISH};
host=db user=sa password={FISH} dbname=x
jdbc:mysql://h/db?user=sa&password={FISH}
jdbc:oracle:thin:scott/{FISH}@h:1521
postgresql://u:{FISH}@h/db
export PGPASSWORD={FISH}
MYSQL_PWD={FISH} mysql
<password>{FISH}</password>
<add key="Password" value="{FISH}"/>
{{"user": "a", "pass": "{FISH}"}}
'passphrase': 'open {FISH}'
login(user="a", password="{FISH}")
Passwort: {FISH}
gh said: password={FISH}9 was refused
The password is {FISH}9.
Password for admin: {FISH}9
CREATE USER a IDENTIFIED BY '{FISH}';
ALTER ROLE a WITH PASSWORD '{FISH}'
requirepass {FISH}
spring.datasource.password={FISH}
define('DB_PASSWORD', '{FISH}');
os.environ["DB_PASSWORD"] = "{FISH}"
os.environ.get("DB_PASSWORD", "{FISH}")
password=${{DB_PASSWORD:-{FISH}}}
auth=("admin", "{FISH}")
HTTPBasicAuth("admin", "{FISH}")
""".strip().splitlines()

ORDINARY = """
password: str
password: Optional[str] = None
password = get_password(user)
password = kwargs["password"]
password: required
{"password": "string"}
<input type="password" name="password">
"password": "Password"
"password": "This field is required."
raise ValueError("password missing")
password_field = "password_hash"
fields = ["username", "password", "email"]
login(user, password=password)
login(name, password=pass2)
connect(host=host, user=user, password=generated)
if password == confirmation:
secret_name = "database"
bypass: something
compass = "northwest"
assert password == expected
PASS: test_total
pass = failed
--password-file secrets.txt
--password PASSWORD
--password requires a value
the password is wrong
login and password are needed
""".strip().splitlines()


@pytest.mark.parametrize("line", LINES)
def test_a_plain_password_is_blotted_out(line: str) -> None:
    for text in (line, f"x = 1\n{line}\ny = 2\n", f"+{line}\n", json.dumps({"said": f"x\n{line}\ny"})):
        told = redact(text)
        assert FISH not in told and HUNTER not in told, told
        assert "[redacted:" in told and redact(told) == told


@pytest.mark.parametrize("line", ORDINARY)
def test_what_is_said_of_passwords_stays(line: str) -> None:
    assert redact(f"x = 1\n{line}\ny = 2\n") == f"x = 1\n{line}\ny = 2\n"


def test_it_is_too_little_to_refuse_a_change_for() -> None:
    facts = SecretFacts(path="a.py", before=None, after=f'password = "{FISH}"\n'.encode())
    assert check(facts).decision is Decision.ALLOW


@pytest.mark.parametrize("unit", ["a_secret=abc1d2\n", "password ", "password=", 'password="', "mysql -p", "login "])
def test_long_texts_take_no_longer_than_their_length_allows(unit: str) -> None:
    started = time.process_time()
    redact(unit * (60_000 // len(unit)))
    assert time.process_time() - started < 4
