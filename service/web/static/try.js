"use strict";
// Swagger UI 4 reads OpenAPI 3.0: a type that may be null is said in its words. The rest of the description is the same.
function older(part) {
  if (Array.isArray(part)) part.forEach(older);
  else if (part !== null && typeof part === "object") {
    if (Array.isArray(part.type)) {
      part.nullable = part.type.includes("null");
      part.type = part.type.find((each) => each !== "null");
    }
    Object.values(part).forEach(older);
  }
  return part;
}

(async () => {
  const spec = older(await (await fetch("/openapi.json")).json());
  spec.openapi = "3.0.3";
  window.SwaggerUIBundle({ spec, dom_id: "#swagger", docExpansion: "list", defaultModelsExpandDepth: -1, validatorUrl: null, deepLinking: false });
})();
