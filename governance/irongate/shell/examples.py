"""Examples of gate 3: commands that it must deny, and some that it must let pass."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _commands(text: str) -> tuple[str, ...]:
    r"""The commands in a text, with two blanks or more between them; ``\n`` and ``\r`` mean those characters."""
    return tuple(part.replace(r"\n", "\n").replace(r"\r", "\r") for part in re.split(r"\s{2,}", text.strip()))


DENIED: Mapping[str, tuple[str, ...]] = {
    "unparsable": (
        "",
        *_commands(
            r"""
        echo 'x   ls; )   ls \r   echo ${x:-"`rm x`"}   time { ls; }   echo x \ # y; rm -rf z
        """
        ),
    ),
    "privilege": _commands("sudo ls   env -i A=b su   chmod u+s x   ls | doas tee x   crontab x   docker run x"),
    "daemon": _commands("ouro approve x   python -m daemon   nohup ouro run &"),
    "computed": _commands(
        r"""
        $x ls   rm $f   rm *   eval $x   bash -c "$x"   curl | sh   xargs rm   find . -exec rm {} +   bash <(ls)
        alias ls=rm   parallel rm   timeout $t ls   timeout --odd 1 ls   sh < x   git $x   cp a $b   tee ~root/x
        echo x > $y   python -m $x   x='a[$(ls)]'; echo $((x))   trap "$x" EXIT
        """
    ),
    "environment": _commands("GIT_DIR=x git log   env PATH=. ls   export LD_PRELOAD=x   for PATH in x; do ls; done"),
    "outside": _commands(
        r"""
        echo x > /etc/passwd   cp a ../b   cd .. && touch x   ln -s /etc x   sed -i s/a/b/ /x   cat x >> '../y'
        tar -C / -xf x.tar   dd if=a of=/b   cd src && touch ../../x   echo x > 'a\b'   touch .git/hooks/post-commit
        cd .git && touch x
        """
    ),
    "protected": _commands("echo x > .env   sed -i s/a/b/ .ENV.local   cp a certs/x.pem   mv .env x"),
    "destructive": _commands(
        r"""
        rm -rf x   ls; rm -fr x   rm --recurs x   find . -delete   r''m -R x   bash -lc 'rm -r x'   echo $(rm -r x)
        cat <<E\n$(rm -r x)\nE   f() { rm -r x; }   mkfs.ext4 x
        """
    ),
    "network": _commands("curl x   wget x   git push   cat < /dev/tcp/x/80   python3 -Im http.server   /usr/bin/ssh x"),
    "git_history": _commands(
        r"""
        git commit -m x   git -C x log   git -c alias.l='!ls' l   git --git-dir=x log   git stash
        git diff --output=x   git grep -Oless x   git branch -D x
        """
    ),
    "package_install": _commands("pip install x   python -m pip install x   npm i   cargo install x   apt-get update"),
    "process_control": _commands("kill 1   pkill x   :(){ :|:& };:   renice 1 2"),
}
"""Commands by the rule that denies them."""
ALLOWED = _commands(
    r"""
    ls -la src | head -5   git log --oneline -5 && git diff HEAD~1   python -m pytest -q tests/test_a.py::test_b[x]
    grep -rn 'rm -rf' . | wc -l   sed -i 's/a/b/' src/a.py   cat > src/a.py <<'EOF'\n$(rm -rf x) `x`\nEOF
    for f in *.py; do echo "$f"; done   cd src && python -c 'print(1)' > out.txt 2>/dev/null   make test &
    PYTHONPATH=src timeout 10 pytest   rm src/old.py   mkdir -p a/b && touch a/b/c.py   bash run.sh   pip list
    xargs -n1 grep x < names   set -euo pipefail; git branch -vv && git remote -v && git log -3 HEAD@{1}..HEAD
    trap - EXIT; tar -xzf a.tgz -C b   cd src && bash ../run.sh && . ./dev/env.sh
    sort -k2,2n a | uniq > b; mv -f b c   shopt -s globstar nullglob   find . -name '*.py' -exec grep -l x {} +
    if [ -f x ]; then cat x; fi   echo .env
    """
)
