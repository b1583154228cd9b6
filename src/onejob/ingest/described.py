"""Protobuf messages of protocols that come without a Python package, made out of their descriptions.

What protoc would generate is a serialized descriptor, which nobody can read and which is bound to the version of its
generator. So the descriptions lie beside the code as `.proto` files, with the published names and numbers of fields,
and are read when imported: messages, their fields, and which of them exclude one another. Enums are int32 there.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

_TOKEN = re.compile(
    r"//[^\n]*|message\s+(?P<message>\w+)\s*\{|oneof\s+(?P<oneof>\w+)\s*\{|(?P<end>\})"
    r"|(?P<label>repeated\s+)?(?P<type>\w+)\s+(?P<name>\w+)\s*=\s*(?P<number>\d+)\s*;"
)
_SCALARS = ("double", "int64", "uint64", "int32", "uint32", "sint32", "sint64", "bool", "string", "bytes", "fixed64")


def messages(folder: str, file: str, package: str) -> dict[str, Any]:
    """The classes by name, of a file in a package of ours; `package` is the protocol's."""
    text = resources.files(folder).joinpath(file).read_text()
    described = descriptor_pb2.FileDescriptorProto(name=f"{package}/{file}", package=package, syntax="proto3")
    _read(text, described)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(described)
    names = [message.name for message in described.message_type]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in names}


def _read(text: str, described: Any) -> None:
    message: Any = None
    is_exclusive = False
    for token in _TOKEN.finditer(text):
        if token["message"]:
            message = described.message_type.add(name=token["message"])
        elif token["oneof"]:
            message.oneof_decl.add(name=token["oneof"])
            is_exclusive = True
        elif token["end"]:
            is_exclusive = False
        elif token["type"]:
            _add_field(message, token, described.package, is_exclusive)


def _add_field(message: DescriptorProto, token: re.Match[str], package: str, is_exclusive: bool) -> None:
    label = FieldDescriptorProto.LABEL_REPEATED if token["label"] else FieldDescriptorProto.LABEL_OPTIONAL
    field = message.field.add(name=token["name"], number=int(token["number"]), label=label)
    if token["type"] in _SCALARS:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{token['type'].upper()}")
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{token['type']}"
    if is_exclusive:
        field.oneof_index = len(message.oneof_decl) - 1
