// Starts Swagger UI, which docs.html has loaded from this service. A proxy may show the service below a path of its own,
// which the description need not know.
fetch("openapi.json")
  .then((answer) => answer.json())
  .then((spec) => {
    spec.servers = [{ url: new URL(".", document.baseURI).pathname.replace(/\/$/, "") || "/" }];
    SwaggerUIBundle({ spec, dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
  });
