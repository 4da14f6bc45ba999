"""The one order that every injection begins with, "ignore the previous instructions", in other languages than English.

A row: in which order the words come (v: ignore, s: previous, t: instructions), then the words. ``_`` is a blank. Words
are stems. All of it is folded as texts are, so that accents and look-alikes do not matter.
"""

from __future__ import annotations

import re

from governance.irongate.injection.folding import fold

SPACED: tuple[tuple[str, str, str, str], ...] = (
    (
        "vst",
        "ignorier missacht vergiss vergesst vergessen_sie beachte_nicht",
        "vorherig vorig bisherig obig früher vorangegangen vorangehend",
        "anweisung instruktion regel befehl vorgabe prompt",
    ),
    (
        "vts",
        "ignore oublie néglige ne_tiens_pas_compte ne_tenez_pas_compte ne_suis_pas ne_suivez_pas",
        "précédent antérieur ci-dessus plus_haut du_système initial",
        "instruction consigne directive règle ordre",
    ),
    (
        "vts",
        "ignor olvid descart haz_caso_omiso no_sigas",
        "anterior previ del_sistema de_arriba",
        "instruccion instrucción ordenes órdenes regla indicacion",
    ),
    (
        "vts",
        "ignor esque desconsider não_siga",
        "anterior previ prévi acima do_sistema",
        "instruç ordens regra diretriz",
    ),
    (
        "vts",
        "ignor dimentic trascur non_seguire",
        "precedent di_sistema inizial sopra",
        "istruzion ordini regole direttiv",
    ),
    ("vst", "negeer vergeet", "voorgaand vorig eerder bovenstaand", "instructie opdracht regel aanwijzing"),
    ("vst", "zignoruj ignoruj zapomnij pomiń", "poprzedni wcześniejsz powyższ", "instrukcj polece zasad"),
    ("vst", "ignoruj zapomeň", "předchozí předešl", "instrukc pokyn příkaz pravid"),
    ("vst", "ignorera glöm bortse_från", "tidigare föregående ovanstående", "instruktion order regler anvisning"),
    (
        "vst",
        "игнорируй проигнорируй забудь не_следуй",
        "предыдущ прошл прежн вышеуказанн систем",
        "инструкц указан команд правил",
    ),
    ("vst", "ігноруй проігноруй забудь", "попередн вищезазначен", "інструкц вказівк правил"),
    ("stv", "yok_say unut görmezden_gel dikkate_alma", "önceki yukarıdaki", "talimat komut yönerge"),
    ("vts", "abaikan lupakan", "sebelumnya di_atas", "instruksi perintah petunjuk"),
    ("vts", "bỏ_qua phớt_lờ quên", "trước ở_trên", "hướng_dẫn chỉ_dẫn chỉ_thị lệnh"),
    ("vst", "αγνόησε αγνοήστε ξέχασε", "προηγούμεν παραπάνω", "οδηγί εντολ"),
    ("vts", "تجاهل انس انسى لا_تتبع", "السابقة أعلاه النظام", "التعليمات تعليمات الأوامر أوامر"),
    ("vts", "התעלם תתעלם שכח", "הקודמות לעיל", "מההוראות ההוראות הוראות"),
    ("stv", "अनदेखा नज़रअंदाज़ नजरअंदाज भूल", "पिछले पूर्व उपरोक्त ऊपर_के", "निर्देश आदेश"),
    ("stv", "무시 잊", "이전 앞선 위의 기존 시스템", "지시 명령 지침 프롬프트"),
)
JOINED: tuple[tuple[str, str, str, str], ...] = (
    (
        "vst",
        "忽略 无视 無視 忘记 忘記 忽视 忽視 不要理会 不要遵守",
        "之前 以前 以上 上述 上面 先前 前面 此前 系统 系統",
        "指令 指示 说明 說明 提示 命令 规则 規則",
    ),
    ("stv", "無視 忘れ 従わない", "以前 これまで 今まで 上記 前の 先ほど システム", "指示 命令 指令 ルール プロンプト"),
)
"""Written without blanks between words."""


def patterns() -> tuple[tuple[str, str], ...]:
    """Each as stems, joined by ``|``, of which a text must have one, and the pattern over folded text."""
    spaced = [_row(row, r"\w* (?:\w+ ){0,4}?") for row in SPACED]
    return (*spaced, *(_row(row, r"[^\n.。!！]{0,12}") for row in JOINED))


def _row(row: tuple[str, str, str, str], between: str) -> tuple[str, str]:
    order, *words = row
    stems = {
        key: "|".join(re.escape(stem).replace("_", " ") for stem in fold(text).text.split())
        for key, text in zip("vst", words, strict=True)
    }
    return stems["t"].replace(" ", "|"), between.join(f"(?:{stems[key]})" for key in order)
