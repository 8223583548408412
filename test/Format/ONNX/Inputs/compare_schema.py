"""Compares our ONNX schema with the one of the installed onnx package.

usage: compare_schema.py DESCRIPTOR_SET (of protoc --descriptor_set_out)
"""

import sys

import onnx
from google.protobuf import descriptor_pb2

# Ours alone, or theirs alone: training and multi-device execution.
OURS = {"TensorProto.nibble_blob"}
THEIRS = {
    "ModelProto.training_info", "ModelProto.configuration",
    "NodeProto.device_configurations",
}


def collect(messages, prefix=""):
    """Yields (name, value) of all fields and enumerators of the messages."""
    for message in messages:
        name = prefix + message.name
        for field in message.field:
            kind = field.type_name.rsplit(".", 1)[-1] or field.type
            yield f"{name}.{field.name}", (field.number, field.label, kind)
        for enum in message.enum_type:
            for value in enum.value:
                yield f"{name}.{enum.name}.{value.name}", value.number
        yield from collect(message.nested_type, name + ".")


def main():
    with open(sys.argv[1], "rb") as file:
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    ours = dict(collect(descriptors.file[0].message_type))
    reference = descriptor_pb2.FileDescriptorProto()
    onnx.ModelProto.DESCRIPTOR.file.CopyToProto(reference)
    known = {message.name for message in descriptors.file[0].message_type}
    theirs = dict(collect(m for m in reference.message_type if m.name in known))

    differences = [
        f"{name}: ours {ours.get(name)}, onnx {theirs.get(name)}"
        for name in sorted(set(ours) | set(theirs))
        if ours.get(name) != theirs.get(name)
        and name not in OURS | THEIRS
    ]
    if differences:
        sys.exit("\n".join(differences))
    enumerators = sum(isinstance(value, int) for value in ours.values())
    print(f"{len(ours) - enumerators} fields and {enumerators} enumerators agree")


if __name__ == "__main__":
    main()
