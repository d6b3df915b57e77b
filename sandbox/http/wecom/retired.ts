import { type Endpoints, Refusal } from '../core/endpoint.js'

/** Calls that pages no longer list and clients still make. The platform knows them and refuses. */
export function retiredEndpoints(): Endpoints {
  return {
    '/cgi-bin/externalcontact/get_group_msg_result': {
      handle: () => {
        throw new Refusal(48005, 'api forbidden, this api is retired')
      },
    },
  }
}
