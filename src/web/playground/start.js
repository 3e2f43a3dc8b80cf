// GraphiQL on this server alone: queries by HTTP, subscriptions by graphql-transport-ws. Nothing typed here is kept in the browser: it may hold a password.
(() => {
  const forgetful = { length: 0, getItem: () => null, setItem: () => {}, removeItem: () => {}, clear: () => {} };

  const isSubscription = (params, document) =>
    document?.definitions.some(
      (definition) => definition.operation === 'subscription' && (!params.operationName || definition.name?.value === params.operationName),
    );

  const fetcher = async (params, { headers = {}, documentAST } = {}) => {
    if (isSubscription(params, documentAST)) {
      const socket = graphqlWs.createClient({ url: `${location.origin.replace(/^http/, 'ws')}/graphql`, connectionParams: headers });
      return socket.iterate(params);
    }
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/graphql-response+json, application/json' },
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

  ReactDOM.createRoot(document.getElementById('graphiql')).render(
    React.createElement(GraphiQL, { fetcher, defaultQuery, storage: forgetful, shouldPersistHeaders: false, isHeadersEditorEnabled: true }),
  );
})();
