"""Languages of the index: file suffixes, and the node types of each grammar for definitions and calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PYTHON = "python"


class Grammar(NamedTuple):
    """A tree-sitter grammar. ``defines``: type of node to kind of symbol; ``calls``: type of node to its field."""

    module: str
    defines: Mapping[str, str]
    calls: Mapping[str, str]
    entry: str = "language"


_ECMA = {
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "class_declaration": "class",
    "method_definition": "method",
    "variable_declarator": "function",
    "field_definition": "method",
}
_TYPED = {
    **_ECMA,
    "public_field_definition": "method",
    "abstract_class_declaration": "class",
    "interface_declaration": "interface",
    "type_alias_declaration": "type",
    "enum_declaration": "enum",
    "function_signature": "function",
    "method_signature": "method",
    "abstract_method_signature": "method",
    "internal_module": "namespace",
    "module": "namespace",
}
_ECMA_CALLS = {
    "call_expression": "function",
    "new_expression": "constructor",
    "jsx_opening_element": "name",
    "jsx_self_closing_element": "name",
}

GRAMMARS: Mapping[str, Grammar] = {
    PYTHON: Grammar(
        "tree_sitter_python", {"function_definition": "def", "class_definition": "class"}, {"call": "function"}
    ),
    "javascript": Grammar("tree_sitter_javascript", _ECMA, _ECMA_CALLS),
    "typescript": Grammar("tree_sitter_typescript", _TYPED, _ECMA_CALLS, "language_typescript"),
    "tsx": Grammar("tree_sitter_typescript", _TYPED, _ECMA_CALLS, "language_tsx"),
    "go": Grammar(
        "tree_sitter_go",
        {"function_declaration": "func", "method_declaration": "func", "type_spec": "type", "method_elem": "func"},
        {"call_expression": "function", "type_conversion_expression": "type"},
    ),
    "rust": Grammar(
        "tree_sitter_rust",
        {
            "function_item": "fn",
            "function_signature_item": "fn",
            "struct_item": "struct",
            "enum_item": "enum",
            "union_item": "union",
            "trait_item": "trait",
            "impl_item": "impl",
            "mod_item": "mod",
            "type_item": "type",
            "macro_definition": "macro",
        },
        {"call_expression": "function", "macro_invocation": "macro"},
    ),
    "c": Grammar(
        "tree_sitter_c",
        {
            "function_definition": "function",
            "struct_specifier": "struct",
            "union_specifier": "union",
            "enum_specifier": "enum",
            "type_definition": "type",
            "preproc_function_def": "macro",
        },
        {"call_expression": "function"},
    ),
    "java": Grammar(
        "tree_sitter_java",
        {
            "class_declaration": "class",
            "interface_declaration": "interface",
            "enum_declaration": "enum",
            "record_declaration": "record",
            "annotation_type_declaration": "annotation",
            "method_declaration": "method",
            "constructor_declaration": "constructor",
        },
        {"method_invocation": "name", "object_creation_expression": "type"},
    ),
}

SUFFIXES: Mapping[str, str] = {
    ".py": PYTHON,
    ".pyi": PYTHON,
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".jsx": "javascript",
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".tsx": "tsx",
    ".go": "go",
    ".rs": "rust",
    ".c": "c",
    ".h": "c",
    ".java": "java",
}


def language_of(path: str) -> str | None:
    """The language of a file by its suffix; None for one that the index does not support."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return SUFFIXES.get(f".{suffix.lower()}") if dot and stem else None
