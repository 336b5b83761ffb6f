"""Prints the JSON Schema of an Istio resource from the typed definitions that a Python package ships.

    python3 definitions.py cloudcoil_models_istio-….whl cloudcoil/models/istio/extensions/v1alpha1.py TrafficExtension

The package's classes are generated from the definitions (CRDs) of the Istio release that its version names. They are
read as text and never run, so that neither the package's own dependencies nor the Python that it asks for are needed.
Status fields are left out: they are istiod's to write. What is not understood is an error, never let through.
"""

import ast
import json
import sys
import zipfile

PLAIN = {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "None": "null"}
BOUNDS = {
    "string": {"max_length": "maxLength", "min_length": "minLength", "pattern": "pattern"},
    "array": {"max_length": "maxItems", "min_length": "minItems"},
    "object": {"max_length": "maxProperties", "min_length": "minProperties"},
    "integer": {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"},
}


class Definitions:
    def __init__(self, text):
        body = ast.parse(text).body
        self.classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
        self.aliases = {}
        for node in body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Call):
                self.aliases[target.id] = node.value.args[1]

    def type(self, node):
        """The schema of an annotation."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self.type(ast.parse(node.value, mode="eval").body)
        if isinstance(node, ast.Constant) and node.value is None:
            return {"type": "null"}
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            # `X | None` is how the package writes that a field may be left out: none of ours is null.
            sides = [self.type(side) for side in (node.left, node.right)]
            sides = [side for side in sides if side != {"type": "null"}]
            return sides[0] if len(sides) == 1 else {"anyOf": sides}
        if isinstance(node, ast.Name):
            return self.named(node.id)
        if isinstance(node, ast.Subscript):
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return self.generic(node.value.id, inner)
        raise SystemExit(f"not understood: {ast.unparse(node)}")

    def named(self, name):
        if name in PLAIN:
            return {"type": PLAIN[name]}
        if name == "Any":
            return {}
        if name == "ObjectMeta":
            return {"type": "object", "required": ["name"]}
        if name in self.aliases:
            return self.type(self.aliases[name])
        return self.object(self.classes[name])

    def generic(self, name, inner):
        if name == "Literal":
            return {"enum": [value.value for value in inner]}
        if name == "list":
            return {"type": "array", "items": self.type(inner[0])}
        if name == "dict":
            return {"type": "object", "additionalProperties": self.type(inner[1])}
        if name == "Annotated":
            return self.bounded(self.type(inner[0]), self.field(inner[1]))
        raise SystemExit(f"not understood: {name}[…]")

    @staticmethod
    def field(call):
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}

    @staticmethod
    def bounded(schema, field):
        bounds = BOUNDS.get(schema.get("type"), {})
        for name, value in field.items():
            if name in bounds:
                schema[bounds[name]] = value
            elif name not in ("alias", "description", "title"):
                raise SystemExit(f"not understood: {name}={value!r} of {schema}")
        return schema

    def object(self, node):
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
        fields = [item for item in fields if not item.target.id.startswith("__") and item.target.id != "status"]
        if fields and fields[0].target.id == "root":
            return self.type(fields[0].annotation)
        resource = any(getattr(base, "id", "") == "Resource" for base in node.bases)
        properties, required = {}, []
        for item in fields:
            name, annotation = item.target.id, item.annotation
            if isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") == "Annotated":
                name = self.field(annotation.slice.elts[1]).get("alias", name)
            properties[name] = self.type(annotation)
            if item.value is None or resource:
                required.append(name)
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def main(wheel, module, name):
    with zipfile.ZipFile(wheel) as files:
        definitions = Definitions(files.read(module).decode())
    print(json.dumps(definitions.named(name)))


if __name__ == "__main__":
    main(*sys.argv[1:])
