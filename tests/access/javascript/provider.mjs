// `node provider.mjs SECRET BACK...` prints its address: a provider with one client, onejob, at which everybody may log in
// by saying who they are. What it knows of them is in their name: `ada.engineers` is one of the engineers.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [secret, ...back] = process.argv.slice(2);

const account = (id) => ({
  accountId: id,
  claims: () => ({ sub: id, preferred_username: id.split(".")[0], groups: id.split(".").slice(1) }),
});

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "onejob", client_secret: secret, redirect_uris: back }],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    findAccount: (_, id) => account(id),
    pkce: { required: () => true },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
