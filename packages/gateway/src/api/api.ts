import { type AckPoint, isValidFilter, NomqError, type Port, type Principal, type Receipt } from "@nomq/core";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Health } from "./health.ts";
import { messageJson } from "./message-json.ts";
import { readPublishRequest } from "./publish-request.ts";
import { streamMessages } from "./stream.ts";
