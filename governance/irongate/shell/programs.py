"""Which class a program belongs to: destructive, network, privilege, git history, package install, process control."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from governance.irongate.shell import git
from governance.irongate.shell.words import Unreadable, Word

CLASSES = ("destructive", "network", "git_history", "package_install", "process_control")
"""What the owner may allow. Privilege he may not."""


def _named(**classes: str) -> Mapping[str, str]:
    return {name: rule for rule, names in classes.items() for name in names.split()}


PROGRAMS = _named(
    destructive="""shred wipefs mkfs mke2fs mkswap fdisk sfdisk gdisk sgdisk parted blkdiscard cryptsetup lvremove
        vgremove pvremove badblocks srm wipe dropdb hdparm fstrim remove_directory""",
    network="""curl wget nc ncat netcat socat ssh scp sftp rsync telnet ftp lftp tftp ping ping6 traceroute tracepath
        dig nslookup host whois nmap aria2c http https xh httpie lynx links elinks w3m gh glab hub kubectl helm aws
        gcloud gsutil az rclone sshfs smbclient mosh mail mailx sendmail mutt swaks ldapsearch mysql psql redis-cli
        mongosh mongo ip ifconfig route iw nmcli arp tcpdump ssh-copy-id ssh-keyscan websocat grpcurl ngrok cloudflared
        xdg-open youtube-dl yt-dlp axel heroku flyctl vercel netlify terraform ansible ansible-playbook twine""",
    privilege="""sudo su doas pkexec runuser sudoedit visudo setpriv capsh chroot unshare nsenter mount umount
        fusermount losetup swapon swapoff setcap chown chgrp chattr setfacl useradd usermod userdel groupadd
        groupmod adduser deluser passwd chpasswd chsh chfn newgrp sg insmod rmmod modprobe depmod sysctl
        iptables ip6tables nft ufw systemctl loginctl journalctl service systemd-run machinectl busctl dbus-send
        gdbus crontab at batch atrm docker podman nerdctl buildah lxc lxd bwrap shutdown reboot poweroff halt
        init telinit setenforce apparmor_parser update-grub grub-install dmesg mknod pivot_root switch_root
        lp lpr gsettings dconf keyctl newuidmap newgidmap gpg gpg2 ssh-add ssh-agent ssh-keygen logger wall write""",
    package_install="""apt apt-get aptitude dpkg dnf yum rpm zypper apk pacman emerge brew snap flatpak nix nix-env
        nix-shell guix easy_install pipx conda mamba micromamba npx pnpx bunx corepack gem cpan cpanm luarocks composer
        nuget vcpkg conan sdk asdf nvm rustup pyenv""",
    git_history="hg svn bzr cvs fossil jj",
    process_control="kill pkill killall killall5 skill snice renice disown fuser reptyr",
    daemon="ouro ouroboros",
)
HARMLESS: Mapping[str, frozenset[str]] = {
    name: frozenset(subs.split())
    for name, subs in {
        "pip": "list show freeze check help inspect hash debug",
        "uv": "tree help version",
        "poetry": "show check version about env",
        "pipenv": "graph check",
        "pdm": "list show info",
        "hatch": "version status",
        "npm": "test t run run-script start ls list explain why root bin prefix help",
        "yarn": "test run start list why info",
        "pnpm": "test run start ls list why",
        "bun": "test run",
        "deno": "test run check fmt lint",
        "cargo": "build b check c test t run r clippy fmt doc bench tree metadata clean version help",
        "go": "build test vet run fmt list env version doc tool help",
        "bundle": "list show check info",
    }.items()
}
"""Managers of packages, with what they may be asked to do."""
MODULES = _named(
    network="http.server smtpd smtplib ftplib telnetlib xmlrpc.server wsgiref.simple_server twine webbrowser",
    package_install="ensurepip easy_install pipx conda",
    daemon="daemon ouroboros",
)
PYTHON = re.compile(r"(?:python|pypy)\d*(?:\.\d+)*[a-z]?")
INTERPRETERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("perl", "julia"), ("-e", "-E")),
    **dict.fromkeys(("ruby", "lua", "Rscript", "osascript"), ("-e",)),
    "php": ("-r",),
    "node": ("-e", "--eval", "-p", "--print"),
    "nodejs": ("-e", "-p"),
}
_READS_CODE = frozenset({"awk", "gawk", "mawk", "sed", "perl", "make", "sqlite3", "m4", "tclsh", "man", "less"})
SETUID = re.compile(r"0*[2-7]\d{3}|[ugoa]*[+=][rwxXt]*s[rwxXst]*")
BLOCK_DEVICE = re.compile(r"/dev/(?!null$|zero$|stdout$|stderr$|full$|u?random$)")


def judge(name: str, words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    """(rule, reason) for each thing that a program may not do. Raises ``Unreadable`` where that is unknown."""
    rule = PROGRAMS.get(name) or ("destructive" if name.startswith("mkfs.") else None)
    if rule is not None:
        yield rule, _REASONS[rule].format(name)
    elif name == "git" or name.startswith("git-"):
        found = git.judge(words if name == "git" else (words[0], Word(name[4:], name[4:]), *words[1:]))
        if found:
            yield found
    elif _is_manager(name):
        yield from _manager("pip" if name.startswith("pip") and name[3:4] in ("", *"0123456789") else name, words)
    elif PYTHON.fullmatch(name):
        yield from _python(words)
    elif handler := _SPECIAL.get(name):
        yield from handler(words)


def find_unread_code(name: str, words: tuple[Word, ...]) -> str:
    """Code on the command line that is not read, as it is named to a person; empty when there is none."""
    if PYTHON.fullmatch(name):
        kind, _, _ = parse_python_call(words)
        return f"{name} -c" if kind == "-c" else f"{name} -" if kind == "-" else ""
    options = INTERPRETERS.get(name)
    if options and any(word.text is not None and word.text.startswith(options) for word in words[1:]):
        return f"{name} {options[0]}"
    return name if name in _READS_CODE else ""


def parse_python_call(words: tuple[Word, ...]) -> tuple[str, Word | None, tuple[Word, ...]]:
    """What the interpreter is to run: ("-c", text), ("-m", module), ("-", None) or ("", script), and its arguments."""
    at = 1
    while at < len(words):
        text = words[at].text
        if text is None:
            raise Unreadable(f"what python runs is only known when it runs: {words[at].raw[:60]}")
        if text == "-":
            return "-", None, words[at + 1 :]
        if not text.startswith("-"):
            return "", words[at], words[at + 1 :]
        if text.startswith("--"):
            at += 2 if text == "--check-hash-based-pycs" else 1
            continue
        for index, letter in enumerate(text[1:], start=2):
            if letter in "cm":
                rest = text[index:]
                if rest:
                    return f"-{letter}", Word(rest, rest), words[at + 1 :]
                value = words[at + 1] if at + 1 < len(words) else None
                return f"-{letter}", value, words[at + 2 :]
            if letter in "WX":
                at += 1 if index == len(text) else 0
                break
        at += 1
    return "-", None, ()


def _python(words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    kind, what, rest = parse_python_call(words)
    if kind != "-m" or what is None:
        return
    if what.text is None:
        raise Unreadable(f"the module is only known when it runs: {what.raw[:60]}")
    module = what.text
    if module == "pip" or module.startswith("pip."):
        yield from _manager("pip", (what, *rest))
        return
    if module.split(".")[0] in HARMLESS and module != "pip":
        yield from _manager(module.split(".")[0], (what, *rest))
        return
    rule = MODULES.get(module) or MODULES.get(module.split(".")[0])
    if rule:
        yield rule, _REASONS[rule].format(f"python -m {module}")


def _is_manager(name: str) -> bool:
    return name in HARMLESS or bool(re.fullmatch(r"pip\d[\d.]*", name))


def _manager(name: str, words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    for word in words[1:]:
        if word.text is None:
            raise Unreadable(f"what {name} is to do is only known when it runs: {word.raw[:60]}")
        if word.text in ("--version", "-V", "--help", "-h"):
            return
        if word.text.startswith("-"):
            continue
        if word.text not in HARMLESS[name]:
            yield "package_install", f"{name} {word.text[:40]} changes what is installed"
        return
    if name in ("yarn", "bundle"):
        yield "package_install", f"{name} alone installs what the project names"


def _rm(words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    for text in _options(words):
        if text.startswith("--"):
            if len(text) > 3 and ("--recursive".startswith(text) or "--no-preserve-root".startswith(text)):
                yield "destructive", f"rm {text} removes whole folders"
        elif "r" in text or "R" in text:
            yield "destructive", f"rm {text} removes whole folders"


def _chmod(words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    for word in words[1:]:
        text = word.text or ""
        if (text.startswith("--") and len(text) > 4 and "--recursive".startswith(text)) or re.fullmatch(
            r"-[a-zA-Z]*R[a-zA-Z]*", text
        ):
            yield "destructive", "chmod -R changes whole folders"
        elif any(SETUID.fullmatch(part) for part in text.split(",")):
            yield "privilege", f"chmod {text[:40]} gives a file another user's rights"


def _find(words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    if any(word.text == "-delete" for word in words):
        yield "destructive", "find -delete removes what it finds"


def _dd(words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    for word in words[1:]:
        if word.text and word.text.startswith("of=") and BLOCK_DEVICE.match(word.text[3:]):
            yield "destructive", f"dd writes to {word.text[3:40]}"


def _openssl(words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    if len(words) > 1 and words[1].text in ("s_client", "s_server", "s_time", "ocsp"):
        yield "network", f"openssl {words[1].text} asks other machines"


def _install(words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    for word in words[1:]:
        if word.text and (word.text.startswith(("-o", "-g", "--owner", "--group")) or "4755" in word.text):
            yield "privilege", "install gives a file another owner or another user's rights"


def _ionice(words: tuple[Word, ...]) -> Iterator[tuple[str, str]]:
    if any(word.text and re.match(r"-[a-zA-Z]*[pPu]|--p|--u", word.text) for word in words[1:]):
        yield "process_control", "ionice changes a running process"


def _options(words: tuple[Word, ...]) -> Iterator[str]:
    for word in words[1:]:
        if word.text == "--":
            return
        if word.text and word.text.startswith("-") and word.text != "-":
            yield word.text


_SPECIAL = {
    "rm": _rm,
    "chmod": _chmod,
    "find": _find,
    "dd": _dd,
    "openssl": _openssl,
    "install": _install,
    "ionice": _ionice,
}
_REASONS = {
    "destructive": "{} destroys what cannot be brought back",
    "network": "{} asks other machines, and commands have no network",
    "privilege": "{} asks for rights or reaches what is not this repository's",
    "package_install": "{} changes what is installed",
    "git_history": "{} makes or moves history",
    "process_control": "{} ends or changes other processes",
    "daemon": "{} is the daemon that this command is run by",
}
