/** What proves who we are. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token ("identity token"). */
  | { readonly kind: 'identity'; readonly username: string; readonly token: string }
  /** Sent as it is, as a bearer token. */
  | { readonly kind: 'registry'; readonly token: string };
