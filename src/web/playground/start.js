// GraphiQL for this server: queries by HTTP, subscriptions by graphql-transport-ws. The browser stores no input, because it may contain a password.
// Introspection needs a session, so the explorer reads the public schema document.
void (async () => {
  const root = document.getElementById("graphiql");
  const { api } = root.dataset;
  const forgetful = { length: 0, getItem: () => null, setItem: () => {}, removeItem: () => {}, clear: () => {} };

  const isSubscription = (params, document) =>
    document?.definitions.some(
      (definition) => definition.operation === "subscription" && (!params.operationName || definition.name?.value === params.operationName),
    );

  const fetcher = async (params, { headers = {}, documentAST } = {}) => {
    if (isSubscription(params, documentAST)) {
      const socket = graphqlWs.createClient({ url: `${api.replace(/^http/, "ws")}/graphql`, connectionParams: headers });
      return socket.iterate(params);
    }
    const response = await fetch(`${api}/graphql`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", accept: "application/graphql-response+json, application/json" },
      body: JSON.stringify(params),
    });
    return response.json();
  };

  const defaultQuery = `# 1. Sign in:
#      mutation { signIn(username: "anna", password: "…") { accessToken } }
# 2. Put the token into the Headers tab below:
#      { "Authorization": "Bearer …" }
# 3. Ask, or follow live:
#      subscription { entries { roomId entries { seq kind } } }

{
  limits {
    ciphertextBytes
    pageEntries
  }
}
`;

  const answer = await fetch(`${api}/graphql/schema.graphql`).catch(() => null);
  if (!answer?.ok) {
    root.textContent = `The API at ${api} does not answer this page. It allows the origins of Management:Url and of Server:AllowedOrigins.`;
    return;
  }
  const schema = GraphiQL.GraphQL.buildSchema(await answer.text());

  ReactDOM.createRoot(root).render(
    React.createElement(GraphiQL, { fetcher, schema, defaultQuery, storage: forgetful, shouldPersistHeaders: false, isHeadersEditorEnabled: true }),
  );
})();
