export {
  type AccessChange,
  type AccessControl,
  type AccessSettings,
  createAccessControl,
  OWNER,
} from "./access-control.ts";
export {
  type AccessToken,
  type AccessUser,
  type AccountFault,
  type AccountLogin,
  type Accounts,
  type AccountsOptions,
  accountFaults,
  createAccounts,
  type Scope,
} from "./accounts.ts";
export { filterCovers, filtersOverlap } from "./filters.ts";
export { hashPassword, isPasswordHash, verifyPassword } from "./password.ts";
export {
  type AccessRule,
  type AccessRules,
  createAccessRules,
  type Explanation,
} from "./rules.ts";
export { LEAST_PASSWORD_LENGTH, MOST_PASSWORD_LENGTH, passwordFault } from "./weak-password.ts";
export { whoFault } from "./who.ts";
