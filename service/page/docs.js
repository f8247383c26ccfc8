// Starts Swagger UI, which docs.html has loaded from this service.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
